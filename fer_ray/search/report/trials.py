"""A sweep's trials as an Optuna study of real hyperparameters, for `optuna.visualization`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fer_ray.objective import Objective, values_in
from fer_ray.results.tables import VALUE_PREFIX
from fer_ray.spaces import Space, Values
from fer_ray.spaces.hyperparameter import Hyperparameter
from fer_ray.spaces.number import Number
from fer_ray.spaces.optuna_bridge import labels


def searched_trials(
    rows: Sequence[Mapping[str, Any]], space: Space, objectives: Sequence[Objective]
) -> optuna.Study:
    """Trials under their numbers: those with a result COMPLETE with their values so far, all others FAIL.

    The sweep's own study has places on a grid where Optuna cannot express a hyperparameter (see
    `fer_ray.spaces.optuna_bridge`), and no values of trials that were stopped early. This one is for people.

    Args:
        rows: Of a trial table.
        space: The sweep's.
        objectives: The sweep's, the primary first.
    """
    named = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=[named[objective.mode] for objective in objectives])
    by_number = {row["trial"]: row for row in rows}
    last = max(by_number, default=-1)
    study.add_trials([_shown(by_number.get(number), space, objectives) for number in range(last + 1)])
    return study


def _shown(row: Mapping[str, Any] | None, space: Space, objectives: Sequence[Objective]) -> FrozenTrial:
    values = None if row is None or row["state"] == "FAIL" else _values(row, objectives)
    if row is None or values is None:
        return optuna.create_trial(state=TrialState.FAIL)
    params, distributions = _params(space, json.loads(row["hyperparameters"] or "{}"))
    return optuna.create_trial(values=list(values.values()), params=params, distributions=distributions)


def _values(row: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, float] | None:
    if len(objectives) == 1:
        return values_in({objectives[0].metric: row["value"]}, objectives)
    named = {objective.metric: row.get(f"{VALUE_PREFIX}{objective.metric}") for objective in objectives}
    return values_in(named, objectives)


def _params(space: Space, values: Values) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    names = labels(space)
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    walked: Values = {}
    for item in space.chosen(walked):
        walked[item.name] = values[item.name]
        if item.size != 1:
            name = names[item.identity]
            params[name] = values[item.name]
            distributions[name] = _distribution(item)
    return params, distributions


def _distribution(item: Hyperparameter) -> BaseDistribution:
    """A range that has all values; which of them are on a grid matters to no figure."""
    if not isinstance(item, Number):
        return CategoricalDistribution([item.value_at(place) for place in range(item.size or 0)])
    log = item.sampling == "log"
    if item.integral:
        return IntDistribution(int(item.min_value), int(item.max_value), log=log)
    return FloatDistribution(item.min_value, item.max_value, log=log)
