"""A search space on the driver: Keras Tuner's JSON, parsed, without importing Keras Tuner."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from fer_ray.errors import SpaceError
from fer_ray.spaces.counting import count_configurations
from fer_ray.spaces.hyperparameter import Hyperparameter, Value
from fer_ray.spaces.parsing import parse_hyperparameter

Values = dict[str, Value]
"""A configuration: the value of each active hyperparameter by name."""


@dataclass(frozen=True)
class Space:
    """Hyperparameters in the order of their registration, each parent before its children."""

    hyperparameters: tuple[Hyperparameter, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Reads what ``keras_tuner.HyperParameters.get_config()`` returns; its ``values`` are not looked at.

        An entry that repeats an earlier one word for word is dropped.

        Raises:
            SpaceError: If the JSON is malformed, a condition names no earlier hyperparameter, or a name is
                defined twice under the same conditions with different values.
        """
        entries = config.get("space") if isinstance(config, Mapping) else None
        if not isinstance(entries, (list, tuple)):
            raise SpaceError("space", "the JSON of a space must have a list under 'space'", repr(config))
        found: dict[Any, Hyperparameter] = {}
        for position, entry in enumerate(entries):
            item = parse_hyperparameter(entry, f"space[{position}]")
            _check_parents(item, found.values())
            if found.setdefault(item.identity, item) != item:
                rule = "it is defined twice under the same conditions"
                raise SpaceError(
                    f"{item.class_name} '{item.name}'", rule, "", "Give one of the two another name"
                )
        return cls(tuple(found.values()))

    def to_config(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Fresh JSON that ``keras_tuner.HyperParameters.from_config`` takes, with the active of `values`."""
        return {"space": [item.to_config() for item in self.hyperparameters], "values": self.active(values)}

    def chosen(self, values: Values) -> Iterator[Hyperparameter]:
        """Walks the active hyperparameters in order, one per name, while the caller fills `values`.

        The first active one of a name takes the place; another of the same name that is active too gets its
        value, as in Keras Tuner. The caller sets ``values[item.name]`` before it asks for the next, or leaves
        it out, and then its children are not active.
        """
        for item in self.hyperparameters:
            if item.name not in values and item.is_active(values):
                yield item

    def active(self, values: Mapping[str, Value]) -> Values:
        """Those of `values` whose hyperparameters are active; names that the space has not are dropped."""
        kept: Values = {}
        for item in self.chosen(kept):
            if item.name in values:
                kept[item.name] = values[item.name]
        return kept

    def is_active(self, hyperparameter: Hyperparameter, values: Mapping[str, Value]) -> bool:
        """Whether a hyperparameter's conditions all hold among the active of `values`."""
        return hyperparameter.is_active(self.active(values))

    def complete(self, values: Mapping[str, Value]) -> Values:
        """`values` without the inactive ones, and with the default of every active one that is missing."""
        filled: Values = {}
        for item in self.chosen(filled):
            filled[item.name] = values.get(item.name, item.first_value)
        return filled

    def check(self, values: Mapping[str, Value]) -> Values:
        """The configuration with each value made exact (0.30000000000000004 -> 0.3, 5.0 -> 5).

        Raises:
            SpaceError: If an active hyperparameter has no value or one outside its domain, or if a name is
                unknown or not active.
        """
        exact: Values = {}
        for item in self.chosen(exact):
            if item.name not in values:
                rule = "it is active and must have a value"
                raise SpaceError(f"{item.class_name} '{item.name}'", rule, f"values for {sorted(values)}")
            exact[item.name] = item.canonical(values[item.name])
        for name in values.keys() - exact.keys():
            known = any(item.name == name for item in self.hyperparameters)
            rule = "it is not active with the other values given" if known else "the space has no such name"
            raise SpaceError(f"hyperparameter '{name}'", rule, repr(values[name]), "Leave it out")
        return exact

    def configuration_key(self, values: Mapping[str, Value]) -> str:
        """A digest that two configurations share exactly if they train the same model.

        SHA-256 (hexadecimal) of the sorted JSON of the checked active values.

        Raises:
            SpaceError: As `check`.
        """
        exact = self.check(self.active(values))
        return hashlib.sha256(json.dumps(exact, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def merge(self, other: "Space") -> "Space":
        """This space with the hyperparameters of `other` that it lacks, at its end.

        For hyperparameters that a trial discovered. Where both have one, this one's definition stays, as in
        Keras Tuner; `conflicts` tells which.

        Raises:
            SpaceError: If a parent of a new hyperparameter is in neither.
        """
        known = {item.identity for item in self.hyperparameters}
        merged = self.hyperparameters
        for item in other.hyperparameters:
            if item.identity not in known:
                _check_parents(item, merged)
                merged += (item,)
        return Space(merged)

    def conflicts(self, other: "Space") -> tuple[Hyperparameter, ...]:
        """Hyperparameters of `other` whose definition here is a different one and would win in `merge`."""
        known = {item.identity: item for item in self.hyperparameters}
        return tuple(item for item in other.hyperparameters if known.get(item.identity, item) != item)

    @cached_property
    def size(self) -> int | None:
        """How many distinct configurations there are, counting conditions; None where infinite."""
        return count_configurations(self.hyperparameters)


def _check_parents(item: Hyperparameter, earlier: Iterable[Hyperparameter]) -> None:
    """Each parent must be decided before its child, so that one walk in order decides all.

    Keras Tuner's ``conditional_scope`` always registers them so: the parent first, under the outer conditions.
    """
    earlier = tuple(earlier)
    for condition in item.conditions:
        parents = (parent for parent in earlier if parent.name == condition.name)
        if not any(set(parent.conditions) <= set(item.conditions) for parent in parents):
            rule = "the parent in a condition must be registered earlier, under conditions that its child has too"
            raise SpaceError(f"{item.class_name} '{item.name}'", rule, repr(condition.name))
