"""One entry of a Keras Tuner space as a value: its domain, its conditions, its place on a grid.

These classes are not a language for spaces, which is Keras Tuner's own; they are what its JSON says, parsed.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

from fer_ray.errors import SpaceError

Value = int | float | str | bool
Sampling = Literal["linear", "log", "reverse_log"]

#: Relative slack in comparing floats, so that binary rounding never costs a range its top.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Condition:
    """Holds where the hyperparameter named `name` has one of `values` (Keras Tuner's ``Parent``)."""

    name: str
    values: tuple[Value, ...]

    def holds(self, values: dict[str, Value]) -> bool:
        """Whether it holds in a configuration; equality is Python's, so 1 and True are the same."""
        return self.name in values and values[self.name] in self.values


@dataclass(frozen=True, kw_only=True)
class Hyperparameter(ABC):
    """A name, the conditions under which it exists, and the values it may take.

    Name and conditions together are its identity, as in Keras Tuner: the same name under other conditions is
    another hyperparameter that shares the one place in a configuration.
    """

    class_name: str
    name: str
    conditions: tuple[Condition, ...] = ()
    default: Value | None = None

    @property
    def identity(self) -> tuple[str, tuple[Condition, ...]]:
        """What tells it from every other hyperparameter of its space."""
        return self.name, self.conditions

    @property
    def first_value(self) -> Value:
        """Its default, or Keras Tuner's where the space gives none: the minimum or the first value."""
        return self.value_at(0) if self.default is None else self.default

    def is_active(self, values: dict[str, Value]) -> bool:
        """Whether all its conditions hold in `values`, which has active hyperparameters only."""
        return all(condition.holds(values) for condition in self.conditions)

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many values it may take; None where it is continuous."""

    @abstractmethod
    def value_at(self, index: int) -> Value:
        """The value at a 0-based place of its grid, in Keras Tuner's order.

        A continuous hyperparameter has its minimum at 0 and nothing else.
        """

    @abstractmethod
    def canonical(self, value: Any) -> Value:
        """The exact member of its domain that `value` means: 0.30000000000000004 is 0.3 on a grid of tenths.

        Raises:
            SpaceError: If `value` is not in the domain.
        """

    @abstractmethod
    def index_of(self, value: Any) -> int:
        """The place of `value` on its grid; the inverse of `value_at`.

        Raises:
            SpaceError: If `value` is not on the grid.
        """

    @abstractmethod
    def _own_config(self) -> dict[str, Any]:
        """The keys of its JSON that only its class has."""

    def to_config(self) -> dict[str, Any]:
        """A fresh copy of its JSON (Keras Tuner changes the one it is given)."""
        conditions = [
            {"class_name": "Parent", "config": {"name": condition.name, "values": list(condition.values)}}
            for condition in self.conditions
        ]
        config = {"name": self.name, "conditions": conditions, **self._own_config()}
        return {"class_name": self.class_name, "config": config}

    def _refuse(self, rule: str, value: Any) -> SpaceError:
        return SpaceError(f"{self.class_name} '{self.name}'", rule, repr(value))


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


@dataclass(frozen=True, kw_only=True)
class Options(Hyperparameter):
    """A ``Choice``, ``Boolean`` or ``Fixed``: a list of values.

    Args:
        values: Distinct and of one type; bools in a ``Choice`` are integers, as Keras Tuner makes them.
        ordered: Whether neighbours in the list are alike, as numbers are.
    """

    values: tuple[Value, ...]
    ordered: bool = False

    @property
    def size(self) -> int | None:
        """How many values it may take; a repeated value counts once."""
        return len(self.values)

    def value_at(self, index: int) -> Value:
        """The value at a place in the list."""
        return self.values[index]

    def canonical(self, value: Any) -> Value:
        """The listed value that equals `value`."""
        return self.values[self.index_of(value)]

    def index_of(self, value: Any) -> int:
        """The place of a value in the list."""
        if value not in self.values:
            raise self._refuse(f"a value must be one of {list(self.values)}", value)
        return self.values.index(value)

    def _own_config(self) -> dict[str, Any]:
        if self.class_name == "Fixed":
            return {"value": self.values[0]}
        if self.class_name == "Boolean":
            return {"default": self.default}
        return {"default": self.default, "values": list(self.values), "ordered": self.ordered}


def _is_finite_number(value: Any) -> bool:
    """Whether it is a number of Python or NumPy, and neither a bool nor NaN nor infinite."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _decimal(number: int | float) -> Decimal:
    return Decimal(repr(number))
