"""What a sweep's Optuna study keeps: how each trial ended, with its best epoch or its reason."""

from dataclasses import dataclass
from enum import StrEnum

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fer_ray.errors import SweepError
from fer_ray.objective import Objective
from fer_ray.search.folder import study_path
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Values
from fer_ray.spaces.optuna_bridge import VALUES_ATTRIBUTE


class FailureKind(StrEnum):
    """Why a trial has no result; kept as the study's user attribute ``failure``."""

    INFEASIBLE = "infeasible"
    TRAINING = "training"
    DIVERGED = "diverged"
    WORKER = "worker"
    DUPLICATE = "duplicate"


@dataclass
class Progressed:
    """What is known of a trial from its epochs."""

    best: float | None = None
    best_epoch: int = 0
    epoch: int = 0
    decision: Decision = Decision.CONTINUE


def open_storage(spec: SweepSpec) -> BaseStorage:
    """The study's storage: the sweep's own file, or what the URL names.

    Raises:
        SweepError: If the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if spec.storage is None:
        # Absolute: Optuna locks by a symlink, and a relative one would lead nowhere.
        return JournalStorage(JournalFileBackend(str(study_path(spec.path).absolute())))
    try:
        return RDBStorage(spec.storage, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:  # SQLAlchemy's and each driver's own errors
        text = " ".join(str(error).split())[:300]
        raise SweepError("storage", "must be a reachable Optuna storage URL", text) from error


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


def tell_pruned(trial: optuna.Trial, seen: Progressed, rung: int | None) -> None:
    """Closes a trial that was stopped early.

    Args:
        trial: The trial; it has reported at its rungs.
        seen: What is known of it; it has a best value.
        rung: The epoch of the last rung that it has reached; None if it has reached none.
    """
    assert seen.best is not None
    stopped = rung is not None and seen.decision is Decision.STOP
    if not stopped:
        trial.report(seen.best, seen.epoch)
    _set_best(trial, seen)
    fallback = "diverged" if seen.decision is Decision.DIVERGED else "time budget"
    trial.set_user_attr("reason", f"stopped at rung {rung}" if stopped else fallback)
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
