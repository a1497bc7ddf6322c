"""A space walked by an Optuna trial: only active hyperparameters are asked, and every one exactly.

What Optuna stores of a hyperparameter is its real value wherever Optuna can express the domain, so that
optuna-dashboard and `optuna.visualization` read as the space does. Its parameter's name (key) tells:

- ``units``: the value itself. Integer and float ranges, ``log`` without a step, every evenly spaced grid or
  ordered choice ([32, 64, 96]), unordered choices and booleans.
- ``batch_size[index]``: the 0-based place on the grid, where values are ordered but unevenly spaced (a step
  under ``log`` or ``reverse_log``, a choice of [16, 32, 64], a float step that rounding would cut short).
- ``momentum[mirrored]``: max + min - value, under ``reverse_log`` without a step, where Keras Tuner draws that
  difference log-uniformly.
- Where the space has a name more than once (under different conditions), the first keeps these keys and each
  further one is ``units#1f0c5a2b``, by a hash of its definition; so keys never change as a space grows.

Hyperparameters with one value have no parameter. A searcher records the real values beside the parameters as
the trial's user attribute `VALUES_ATTRIBUTE`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fer_ray.errors import SpaceError, UnsupportedSpaceError
from fer_ray.spaces.hyperparameter import Hyperparameter, Options, Value
from fer_ray.spaces.number import Number
from fer_ray.spaces.space import Space, Values

#: The user attribute of an Optuna trial under which a searcher keeps the configuration's real values.
VALUES_ATTRIBUTE = "hyperparameters"

# Optuna keeps every number as a float: larger integers would change their last digits.
_LARGEST_INTEGER = 2**53


@dataclass(frozen=True)
class Parameter:
    """How one hyperparameter is asked from Optuna.

    Args:
        key: The name of Optuna's parameter.
        distribution: Its domain, in what Optuna stores.
        meaning: What it stores: the ``value``, its ``index`` on the grid, or max + min - value (``mirrored``).
        hyperparameter: The one that it stands for.
    """

    key: str
    distribution: BaseDistribution
    meaning: Literal["value", "index", "mirrored"]
    hyperparameter: Hyperparameter

    def to_value(self, stored: Any) -> Value:
        """The hyperparameter's value for what Optuna stores.

        Raises:
            SpaceError: If it is outside the domain, as an enqueued parameter may be.
        """
        item = self.hyperparameter
        if self.meaning == "index":
            size = item.size or 0
            if isinstance(stored, bool) or not isinstance(stored, int) or not 0 <= stored < size:
                raise SpaceError(
                    f"parameter '{self.key}'", f"an index must be in 0 to {size - 1}", repr(stored)
                )
            return item.value_at(stored)
        return self._mirror(stored) if self.meaning == "mirrored" else item.canonical(stored)

    def to_param(self, value: Value) -> Any:
        """What Optuna stores for a value of the hyperparameter; the inverse of `to_value`."""
        item = self.hyperparameter
        if self.meaning == "index":
            return item.index_of(value)
        return self._mirror(value) if self.meaning == "mirrored" else item.canonical(value)

    def _mirror(self, number: Any) -> Value:
        item = self.hyperparameter
        assert isinstance(item, Number)
        ends = Decimal(repr(item.max_value)) + Decimal(repr(item.min_value))
        mirrored = ends - Decimal(repr(item.canonical(number)))
        return int(mirrored) if item.integral else item.clamp(float(mirrored))


def parameters(space: Space) -> dict[tuple[Any, ...], Parameter]:
    """Optuna's parameter of each hyperparameter that needs one, by the hyperparameter's identity.

    Raises:
        UnsupportedSpaceError: If an integer is too large for Optuna.
    """
    found: dict[tuple[Any, ...], Parameter] = {}
    taken: set[str] = set()
    for item, label in zip(space.hyperparameters, labels(space).values(), strict=True):
        if item.size == 1:
            continue
        distribution, meaning = _distribution(item)
        key = label if meaning == "value" else f"{label}[{meaning}]"
        key = f"{key}#{_digest(item)}" if key in taken else key
        taken.add(key)
        found[item.identity] = Parameter(key, distribution, meaning, item)
    return found


def labels(space: Space) -> dict[tuple[Any, ...], str]:
    """A text for each hyperparameter, by its identity: its name, with a hash from the second of a name on."""
    found: dict[tuple[Any, ...], str] = {}
    names: set[str] = set()
    for item in space.hyperparameters:
        found[item.identity] = f"{item.name}#{_digest(item)}" if item.name in names else item.name
        names.add(item.name)
    return found


def suggest(space: Space, trial: optuna.Trial) -> Values:
    """Asks a trial for a configuration, parents first, and for nothing that is not active.

    Returns:
        The value of every active hyperparameter, those with a single value included.

    Raises:
        SpaceError: If an enqueued parameter is outside its domain (Optuna itself only warns).
        UnsupportedSpaceError: As `parameters`.
    """
    asked = parameters(space)
    values: Values = {}
    for item in space.chosen(values):
        parameter = asked.get(item.identity)
        values[item.name] = parameter.to_value(_ask(trial, parameter)) if parameter else item.value_at(0)
    return values


def params_of(
    space: Space, values: Mapping[str, Value]
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """What Optuna stores for a known configuration, to enqueue it or to add it as a finished trial.

    Args:
        space: The space.
        values: A value for each active hyperparameter, and no others.

    Returns:
        ``params`` and ``distributions`` as ``optuna.create_trial`` takes them, in the order of the space;
        ``params`` alone is what ``study.enqueue_trial`` takes.

    Raises:
        SpaceError: If the values are not a configuration of the space.
    """
    exact = space.check(values)
    asked = parameters(space)
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    walked: Values = {}
    for item in space.chosen(walked):
        walked[item.name] = exact[item.name]
        if parameter := asked.get(item.identity):
            params[parameter.key] = parameter.to_param(exact[item.name])
            distributions[parameter.key] = parameter.distribution
    return params, distributions


def values_of(space: Space, params: Mapping[str, Any]) -> Values:
    """The configuration that a stored trial's parameters mean; the inverse of `params_of`.

    Raises:
        SpaceError: If an active hyperparameter's parameter is missing or outside its domain, or a parameter
            belongs to none that is active.
    """
    asked = parameters(space)
    values: Values = {}
    used = set()
    for item in space.chosen(values):
        parameter = asked.get(item.identity)
        if parameter is None:
            values[item.name] = item.value_at(0)
            continue
        if parameter.key not in params:
            rule = "an active hyperparameter must have a parameter"
            raise SpaceError(f"parameter '{parameter.key}'", rule, f"parameters {sorted(params)}")
        values[item.name] = parameter.to_value(params[parameter.key])
        used.add(parameter.key)
    if unused := sorted(params.keys() - used):
        raise SpaceError("parameters", "each must belong to an active hyperparameter", repr(unused))
    return values


def _ask(trial: optuna.Trial, parameter: Parameter) -> Any:
    distribution = parameter.distribution
    if isinstance(distribution, IntDistribution):
        low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
        return trial.suggest_int(parameter.key, low, high, step=step, log=log)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            parameter.key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(parameter.key, distribution.choices)


def _distribution(item: Hyperparameter) -> tuple[BaseDistribution, Literal["value", "index", "mirrored"]]:
    if isinstance(item, Options) and not item.ordered:
        return CategoricalDistribution(item.values), "value"
    _check_integers(item)
    if isinstance(item, Number) and item.step is None:
        meaning: Literal["value", "mirrored"] = "mirrored" if item.sampling == "reverse_log" else "value"
        log = item.sampling != "linear"
        if item.integral:
            return IntDistribution(int(item.min_value), int(item.max_value), log=log), meaning
        return FloatDistribution(item.min_value, item.max_value, log=log), meaning
    size = item.size
    assert size is not None
    even = _even_distribution(item, size)
    return (even, "value") if even else (IntDistribution(0, size - 1), "index")


def _even_distribution(item: Hyperparameter, size: int) -> BaseDistribution | None:
    """Optuna's stepped range with exactly the values of the grid, where there is one."""
    if isinstance(item, Number) and item.sampling != "linear":
        return None
    places = range(size) if isinstance(item, Options) else (0, 1, size - 1)
    grid = {place: Decimal(repr(item.value_at(place))) for place in places}
    low, high, step = grid[0], grid[size - 1], grid[1] - grid[0]
    # Optuna, too, reckons a grid of floats in the decimals of their shortest text.
    even = all(value == low + place * step for place, value in grid.items())
    if step <= 0 or not even or Decimal(repr(float(step))) != step:
        return None
    if isinstance(item.value_at(0), int):
        return IntDistribution(int(low), int(high), step=int(step)) if high <= _LARGEST_INTEGER else None
    return FloatDistribution(float(low), float(high), step=float(step))


def _check_integers(item: Hyperparameter) -> None:
    if isinstance(item, Number) and item.integral and max(-item.min_value, item.max_value) > _LARGEST_INTEGER:
        raise UnsupportedSpaceError(
            f"{item.class_name} '{item.name}'", "Optuna keeps integers up to 2**53 exactly", item.range_text
        )


def _digest(item: Hyperparameter) -> str:
    definition = item.to_config()
    definition["config"].pop("default", None)
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:8]
