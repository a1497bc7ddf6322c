"""One entry of a Keras Tuner space as a value: its conditions and its domain.

These classes, and `Number` beside them, are not a language for spaces, which is Keras Tuner's own; they are
what its JSON says, parsed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from fer_ray.errors import SpaceError

Value = int | float | str | bool
"""What a hyperparameter can be set to."""


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

    def is_active(self, values: dict[str, Value]) -> bool:
        """Whether all its conditions hold in `values`, which has active hyperparameters only."""
        return all(condition.holds(values) for condition in self.conditions)

    @property
    @abstractmethod
    def first_value(self) -> Value:
        """Its default, or Keras Tuner's where the space gives none: the minimum or the first value."""

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
class Options(Hyperparameter):
    """A ``Choice``, ``Boolean`` or ``Fixed``: a list of values.

    Args:
        values: Distinct and of one type; bools in a ``Choice`` are integers, as Keras Tuner makes them.
        ordered: Whether neighbours in the list are alike, as numbers are.
    """

    values: tuple[Value, ...]
    ordered: bool = False

    @property
    def first_value(self) -> Value:
        """Its default, or the first of its values."""
        return self.values[0] if self.default is None else self.default

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
