"""Configurations as points, so that near ones are alike."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fer_ray.spaces.hyperparameter import Value
from fer_ray.spaces.optuna_bridge import Parameter, parameters
from fer_ray.spaces.space import Space

#: Where a number lies that is not active: as far from the lowest as the lowest is from the highest.
_INACTIVE = -1.0


class Coordinates:
    """Makes points of configurations.

    Numbers lie between 0 and 1, as evenly as their sampling spreads them; unordered choices have an axis per
    value, so that any two of them are 1 apart; what is inactive lies apart from all that is active.

    Args:
        space: The space.
    """

    def __init__(self, space: Space) -> None:
        self._space, asked = space, parameters(space)
        found = ((item, asked.get(item.identity)) for item in space.hyperparameters)
        self._asked = [(item, parameter) for item, parameter in found if parameter is not None]

    def __call__(self, values: Mapping[str, Value]) -> NDArray[np.float64]:
        """The point of a configuration.

        Args:
            values: The active hyperparameters.

        Returns:
            float64 of as many axes as the space needs, whatever is active.
        """
        active = self._space.active(values)
        point: list[float] = []
        for item, parameter in self._asked:
            point += _axes(parameter, active[item.name] if item.is_active(active) else None)
        return np.array(point)


def _axes(parameter: Parameter, value: Value | None) -> list[float]:
    kind = parameter.distribution
    stored = None if value is None else parameter.to_param(value)
    if isinstance(kind, CategoricalDistribution):
        return [math.sqrt(0.5) * (stored is not None and choice == stored) for choice in kind.choices]
    if stored is None:
        return [_INACTIVE]
    assert isinstance(kind, IntDistribution | FloatDistribution)
    low, high, place = float(kind.low), float(kind.high), float(stored)
    if kind.log:
        low, high, place = math.log(low), math.log(high), math.log(place)
    return [(place - low) / (high - low)]
