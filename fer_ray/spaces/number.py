"""The domain of an ``Int`` or ``Float``: a range, its grid where it has a step, and what lies on it."""

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

from fer_ray.spaces.hyperparameter import Hyperparameter, Value

Sampling = Literal["linear", "log", "reverse_log"]

#: Relative slack in comparing floats, so that binary rounding never costs a range its top.
TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Number(Hyperparameter):
    """An ``Int`` or ``Float``: a range with both ends included.

    Args:
        min_value, max_value: The ends; the top belongs to a stepped range only if the steps reach it.
        step: Added (linear) or multiplied (log, reverse_log) from one value to the next; None for any float,
            and for any integer under log and reverse_log.
        sampling: ``log`` prefers small values, ``reverse_log`` large ones.
    """

    min_value: int | float
    max_value: int | float
    step: int | float | None = None
    sampling: Sampling = "linear"

    @property
    def integral(self) -> bool:
        """Whether its values are integers."""
        return self.class_name == "Int"

    @property
    def first_value(self) -> Value:
        """Its default, or its minimum."""
        return self.min_value if self.default is None else self.default

    @property
    def size(self) -> int | None:
        """How many values it may take; None for a float without a step.

        The top counts where the steps reach it but for rounding: ``Float(0, 1, step=0.1)`` has 11 values
        (Keras Tuner 1.4.8 has 10, because ``1.0 // 0.1`` is 9).
        """
        if self.min_value == self.max_value:
            return 1
        if self.step is None:
            return int(self.max_value - self.min_value) + 1 if self.integral else None
        if self.sampling == "linear":
            steps = (_decimal(self.max_value) - _decimal(self.min_value)) / _decimal(self.step)
            return math.floor(steps + Decimal(TOLERANCE)) + 1
        return int(math.log(self.max_value / self.min_value, self.step) + 1e-8) + 1

    def value_at(self, index: int) -> Value:
        """The value at a place of the grid, in decimal arithmetic: the fourth tenth is 0.3."""
        low, high = _decimal(self.min_value), _decimal(self.max_value)
        if self.step is None or index == 0:
            exact = low + index
        elif self.sampling == "linear":
            exact = low + index * _decimal(self.step)
        else:
            exact = low * _decimal(self.step) ** index
        exact = high if exact > high or self._same(float(exact), self.max_value) else exact
        if self.sampling == "reverse_log" and self.step is not None:
            exact = high + low - exact
        return int(exact) if self.integral else float(exact)

    def canonical(self, value: Any) -> Value:
        """The integer, grid value or float inside the range that `value` means."""
        if self.size is not None:
            return self.value_at(self.index_of(value))
        return self.clamp(self._in_range(value))

    def clamp(self, value: float) -> float:
        """The nearest float inside the range; takes off what rounding added."""
        return float(min(max(value, self.min_value), self.max_value))

    def index_of(self, value: Any) -> int:
        """The place of a value on the grid, with slack for binary rounding in floats."""
        number, size = self._in_range(value), self.size
        if size is None:
            raise self._refuse("a hyperparameter without a step has no grid", value)
        index = min(max(round(self._position(number)), 0), size - 1)
        found = self.value_at(index)
        assert isinstance(found, (int, float))
        if not (found == number if self.integral else self._same(found, number)):
            raise self._refuse(f"a value must lie on its grid {self.range_text}", value)
        return index

    @property
    def range_text(self) -> str:
        """Its range in words, such as ``16 to 128, times 2``."""
        word = "step" if self.sampling == "linear" else "times"
        stepped = "" if self.step is None or (self.integral and self.step == 1) else f", {word} {self.step}"
        return f"{self.min_value} to {self.max_value}{stepped}"

    def _position(self, number: float) -> float:
        if self.min_value == self.max_value:
            return 0
        if self.step is None:
            return number - self.min_value
        if self.sampling == "linear":
            return (number - self.min_value) / self.step
        mirrored = self.sampling == "reverse_log"
        along = self.max_value + self.min_value - number if mirrored else number
        return math.log(max(along, self.min_value) / self.min_value, self.step)

    def _in_range(self, value: Any) -> float:
        if not _is_finite_number(value):
            raise self._refuse("a value must be a finite number", value)
        number = int(value) if self.integral and value == int(value) else float(value)
        inside = self.min_value <= number <= self.max_value
        if not inside and (self.integral or not self._same(number, self.clamp(number))):
            raise self._refuse(f"a value must lie in its range {self.range_text}", value)
        return number

    def _same(self, left: float, right: float) -> bool:
        slack = TOLERANCE * (self.step or 0) if self.sampling == "linear" else 0
        return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=slack)

    def _own_config(self) -> dict[str, Any]:
        keys = ("default", "min_value", "max_value", "step", "sampling")
        return {key: getattr(self, key) for key in keys}


def _is_finite_number(value: Any) -> bool:
    """Whether it is a number of Python or NumPy, and neither a bool nor NaN nor infinite."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _decimal(number: int | float) -> Decimal:
    return Decimal(repr(number))
