"""What a sweep's Optuna study keeps: how each trial ended, with its best epoch or its reason."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fer_ray.objective import Objective
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Values
from fer_ray.spaces.optuna_bridge import VALUES_ATTRIBUTE

#: With several objectives, where Optuna takes no reports: the values at a trial's rungs, by epoch.
RUNGS_ATTRIBUTE = "rungs"
#: With several objectives: each one's value at the best epoch, by metric; of an open trial, up to its last rung.
VALUES_AT_BEST_ATTRIBUTE = "best_values"


class FailureKind(StrEnum):
    """Why a trial has no result; kept as the study's user attribute ``failure``."""

    INFEASIBLE = "infeasible"
    """The configuration's: its model cannot be built, or breaks a constraint."""
    TRAINING = "training"
    """The configuration's: its `fit` raised; the same would happen again."""
    DIVERGED = "diverged"
    """The configuration's: its objective was never a finite number."""
    WORKER = "worker"
    """The machine's: workers died under it more often than `retries` allows."""
    HUNG = "hung"
    """An epoch took longer than `limits.epoch`, more often than `retries` allows."""
    MEMORY = "memory"
    """Its machine ran out of memory under it, more often than `retries` allows."""
    CUT_SHORT = "cut short"
    """The sweep's: it ended before the trial's first epoch."""
    DUPLICATE = "duplicate"
    """The sampler's: the same configuration was trained before."""


#: Failures that do not count against `max_trials`: nothing was trained.
UNCOUNTED = frozenset({FailureKind.INFEASIBLE, FailureKind.DUPLICATE, FailureKind.CUT_SHORT})


@dataclass
class Progressed:
    """What is known of a trial from its epochs.

    Args:
        best: The primary objective at its best epoch; None if no epoch had finite values.
        best_epoch: That epoch, from 1.
        values: All objectives there, by metric, in their order.
        measures: Of its model, by name.
        epoch: Its last one.
        seconds: Of training.
        decision: The last one.
    """

    best: float | None = None
    best_epoch: int = 0
    values: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    seconds: float = 0.0
    decision: Decision = Decision.CONTINUE


def open_study(spec: SweepSpec, storage: BaseStorage) -> optuna.Study:
    """The sweep's study, made if it is not there."""
    named = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
    study = optuna.create_study(
        storage=storage,
        study_name=spec.study_name,
        directions=[named[goal.mode] for goal in spec.goals],
        load_if_exists=True,
    )
    if has_several_objectives(study):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([goal.metric for goal in spec.goals])
    return study


def has_several_objectives(study: optuna.Study) -> bool:
    """Whether trials can be reported only when they end, by Optuna's rule."""
    return len(study.directions) > 1


def tell_rungs(
    trial: optuna.Trial, seen: Progressed, values: Mapping[int, float], new: Collection[int]
) -> None:
    """Tells the rungs that a trial has come to.

    Args:
        trial: The trial.
        seen: What is known of it.
        values: Epoch -> value of all its rungs.
        new: Epochs of those that the study may not have yet.
    """
    if not has_several_objectives(trial.study):
        for epoch in new:
            trial.report(values[epoch], epoch)
    elif new:
        trial.set_user_attr(RUNGS_ATTRIBUTE, {str(epoch): value for epoch, value in values.items()})
        trial.set_user_attr(VALUES_AT_BEST_ATTRIBUTE, seen.values)


def tell_complete(trial: optuna.Trial, seen: Progressed) -> None:
    """Closes a trial that trained to its end, with its best values."""
    _set_best(trial, seen)
    trial.study.tell(trial, list(seen.values.values()))


def tell_pruned(trial: optuna.Trial, seen: Progressed, reason: str, *, at_rung: bool) -> None:
    """Closes a trial that was stopped early.

    Args:
        trial: The trial.
        seen: What is known of it; it has a best value.
        reason: Why.
        at_rung: Whether it ended at the rung that it has reported last.
    """
    assert seen.best is not None
    if not at_rung and not has_several_objectives(trial.study):
        trial.report(seen.best, seen.epoch)
    _set_best(trial, seen)
    trial.set_user_attr("reason", reason)
    trial.study.tell(trial, state=TrialState.PRUNED)


def tell_failed(
    trial: optuna.Trial,
    seen: Progressed,
    kind: FailureKind,
    reason: str,
    violations: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Closes a trial that has no result; the sampler learns by how much it broke which constraints."""
    trial.set_user_attr("failure", kind.value)
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("epochs", seen.epoch)
    _set_measures(trial, seen)
    for measure, violation in violations.items():
        trial.set_constraint(measure, violation)
    trial.study.tell(trial, state=TrialState.FAIL)


def values_of(trial: FrozenTrial) -> Values:
    """The real hyperparameters of a trial."""
    return dict(trial.user_attrs.get(VALUES_ATTRIBUTE, {}))


def best_trial(trials: list[FrozenTrial], objective: Objective) -> FrozenTrial | None:
    """The trial with the best value among those that finished or were stopped early.

    Ties go to fewer epochs, then to the lower number, as on the leaderboard.
    """
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    having = [trial for trial in trials if trial.state in ended and "best_value" in trial.user_attrs]
    sign = -1 if objective.mode == "max" else 1
    return min(
        having,
        key=lambda trial: (sign * trial.user_attrs["best_value"], trial.user_attrs["epochs"], trial.number),
        default=None,
    )


def violations_of(measures: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """By which share of its limit each measure exceeds it; those that do not are left out."""
    return {
        measure: measures[measure] / most - 1
        for measure, most in limits.items()
        if measure in measures and measures[measure] > most
    }


def _set_best(trial: optuna.Trial, seen: Progressed) -> None:
    trial.set_user_attr("best_value", seen.best)
    trial.set_user_attr("best_epoch", seen.best_epoch)
    trial.set_user_attr("epochs", seen.epoch)
    if has_several_objectives(trial.study):
        trial.set_user_attr(VALUES_AT_BEST_ATTRIBUTE, seen.values)
    _set_measures(trial, seen)


def _set_measures(trial: optuna.Trial, seen: Progressed) -> None:
    for measure, value in seen.measures.items():
        trial.set_user_attr(measure, value)
