"""What a sweep's Optuna study keeps: how each trial ended, with its best epoch or its reason."""

from dataclasses import dataclass
from enum import StrEnum

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fer_ray.objective import Objective
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Values
from fer_ray.spaces.optuna_bridge import VALUES_ATTRIBUTE


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
    """What is known of a trial from its epochs."""

    best: float | None = None
    best_epoch: int = 0
    epoch: int = 0
    seconds: float = 0.0
    decision: Decision = Decision.CONTINUE


def open_study(spec: SweepSpec, storage: BaseStorage) -> optuna.Study:
    """The sweep's study, made if it is not there."""
    direction = StudyDirection.MAXIMIZE if spec.goal.mode == "max" else StudyDirection.MINIMIZE
    return optuna.create_study(
        storage=storage, study_name=spec.study_name, direction=direction, load_if_exists=True
    )


def tell_complete(trial: optuna.Trial, seen: Progressed) -> None:
    """Closes a trial that trained to its end, with its best value."""
    _set_best(trial, seen)
    trial.study.tell(trial, seen.best)


def tell_pruned(trial: optuna.Trial, seen: Progressed, reason: str, *, at_rung: bool) -> None:
    """Closes a trial that was stopped early.

    Args:
        trial: The trial.
        seen: What is known of it; it has a best value.
        reason: Why.
        at_rung: Whether it ended at the rung that it has reported last.
    """
    assert seen.best is not None
    if not at_rung:
        trial.report(seen.best, seen.epoch)
    _set_best(trial, seen)
    trial.set_user_attr("reason", reason)
    trial.study.tell(trial, state=TrialState.PRUNED)


def tell_failed(trial: optuna.Trial, seen: Progressed, kind: FailureKind, reason: str) -> None:
    """Closes a trial that has no result."""
    trial.set_user_attr("failure", kind.value)
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("epochs", seen.epoch)
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


def _set_best(trial: optuna.Trial, seen: Progressed) -> None:
    trial.set_user_attr("best_value", seen.best)
    trial.set_user_attr("best_epoch", seen.best_epoch)
    trial.set_user_attr("epochs", seen.epoch)
