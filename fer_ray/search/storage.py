"""The study's storage: where it lies, patient with a database that is away, and as the sampler shall see it."""

import copy
import logging
from collections.abc import Callable, Collection, Container, Sequence
from typing import Any

import optuna
import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from fer_ray.errors import SweepError
from fer_ray.search.folder import study_path
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import VALUES_AT_BEST_ATTRIBUTE

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
# Two sweeps that open an empty database at once both make its tables, and one of them meets the other's.
_making_tables = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type((IntegrityError, ProgrammingError)),
    wait=tenacity.wait_random(0.1, 1.0),
    stop=tenacity.stop_after_attempt(5),
    reraise=True,
)

_log = logging.getLogger(__name__)


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
        database = _making_tables(RDBStorage, spec.storage, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:  # SQLAlchemy's and each driver's own errors
        raise _unreachable(error) from error
    return PatientStorage(get_storage(database), spec.limits.storage)


def check_storage(spec: SweepSpec) -> None:
    """Asks whether a database answers; makes nothing there, as `open_storage` would.

    Raises:
        SweepError: As `open_storage`.
    """
    if spec.storage is None:
        return
    try:
        engine = sqlalchemy.create_engine(spec.storage)
        if engine.dialect.name != "sqlite":  # Connecting to a file makes it.
            engine.connect().close()
    except Exception as error:  # SQLAlchemy's and each driver's own errors
        raise _unreachable(error) from error


def delete_study(spec: SweepSpec) -> None:
    """Deletes a sweep's study from its database; one in a file goes with the sweep's folder.

    Raises:
        SweepError: If the database does not answer.
    """
    if spec.storage is None:
        return
    storage = open_storage(spec)
    names = [
        summary.study_name for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
    ]
    if spec.study_name in names:
        optuna.delete_study(study_name=spec.study_name, storage=storage)


def _unreachable(error: Exception) -> SweepError:
    text = " ".join(str(error).split())[:300]
    return SweepError("storage", "must be a reachable Optuna storage URL", text)


def _delegate(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._call(getattr(self._storage, name), *args, **kwargs)

    return call


# Every operation of a storage, handed on.
_OPERATIONS = {name: _delegate(name) for name in BaseStorage.__abstractmethods__}
_Delegating: Any = type("_Delegating", (BaseStorage,), _OPERATIONS)


class PatientStorage(_Delegating):
    """Asks a database again while it does not answer.

    Where the answer alone was lost, what was asked for has been done already. To write an attribute, a parameter or
    a value again changes nothing; a trial that was created or closed is told apart here. One process at a time
    writes a study, the one that holds its sweep.

    Args:
        storage: The database's.
        seconds: For how long; then each operation raises a `SweepError`.
    """

    def __init__(self, storage: BaseStorage, seconds: float) -> None:
        self._storage = storage
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_away),
            wait=tenacity.wait_exponential(_FIRST_WAIT, _LONGEST_WAIT),
            stop=tenacity.stop_after_delay(seconds),
            before_sleep=_tell,
            retry_error_callback=self._give_up,
        )
        self._seconds = seconds

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Creates one trial; those whose answers were lost, to Optuna's own attempts too, are closed as failed."""
        before = self.get_n_trials(study_id)
        trial_id: int = self._call(self._storage.create_new_trial, study_id, template_trial)
        for number in range(before, self.get_trial_number_from_id(trial_id)):
            twin = self.get_trial_id_from_study_id_trial_number(study_id, number)
            self.set_trial_user_attr(twin, "reason", "created twice, since the database's answer was lost")
            self.set_trial_state_values(twin, TrialState.FAIL)
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets the state; one that a lost answer had set already is as good."""
        try:
            changed: bool = self._call(self._storage.set_trial_state_values, trial_id, state, values)
        except UpdateFinishedTrialError:
            if self._asked_again and self.get_trial(trial_id).state is state:
                return True
            raise
        return changed or (self._asked_again and state is TrialState.RUNNING)

    @property
    def _asked_again(self) -> bool:
        attempts: int = self._retrying.statistics["attempt_number"]
        return attempts > 1

    def _call(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._retrying(operation, *args, **kwargs)

    def _give_up(self, state: tenacity.RetryCallState) -> None:
        rule = f"must answer within {self._seconds:g} s (limits.storage)"
        error = _error_of(state)
        raise SweepError("storage", rule, _cause(error), "Resume the sweep once it does") from error


class SamplerStorage(_Delegating):
    """Shows trials as the sampler learns most from them.

    - Paused ones as PRUNED at their last rung. In the storage they are RUNNING, since Optuna never opens a trial
      again; but TPE takes running trials for bad ones, to keep away from them, and CMA-ES leaves them out.
    - Those that broke a constraint as PRUNED too: from failed trials no sampler learns, from a pruned one with a
      violated constraint TPE learns where to keep away from.
    - With several objectives, where Optuna has no value of a pruned trial and TPE cannot rank it: pruned and paused
      ones as COMPLETE with the values of their best epoch.

    Args:
        storage: The study's.
        paused: Tells the numbers of the trials that are paused now.
    """

    def __init__(self, storage: BaseStorage, paused: Callable[[], Collection[int]]) -> None:
        self._storage, self._paused = storage, paused
        self._shown: dict[int, tuple[FrozenTrial, FrozenTrial]] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As the storage has them, but for those."""
        if states == (TrialState.WAITING,):  # Optuna asks so before each trial, and none of those is one.
            return self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        paused = self._paused()
        found = self._storage.get_all_trials(study_id, deepcopy=deepcopy)
        shown = [
            self._with_result(trial) if trial.number in paused or _ended_early(trial) else trial
            for trial in found
        ]
        return [trial for trial in shown if states is None or trial.state in states]

    def _call(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return operation(*args, **kwargs)

    def _with_result(self, trial: FrozenTrial) -> FrozenTrial:
        stored, shown = self._shown.get(trial.number, (None, trial))
        if stored is not trial:
            shown = copy.copy(trial)
            values = trial.user_attrs.get(VALUES_AT_BEST_ATTRIBUTE)
            shown.state = TrialState.COMPLETE if values else TrialState.PRUNED
            if values:
                shown.values = list(values.values())
            self._shown[trial.number] = trial, shown
        return shown


def _ended_early(trial: FrozenTrial) -> bool:
    """Whether it was stopped, or broke a constraint."""
    infeasible = trial.state is TrialState.FAIL and bool(trial.constraints)
    return infeasible or trial.state is TrialState.PRUNED


def _tell(state: tenacity.RetryCallState) -> None:
    text, wait = _cause(_error_of(state)), state.next_action
    _log.warning("The database does not answer; asked again in %.1f s: %s", wait.sleep if wait else 0, text)


def _error_of(state: tenacity.RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None  # only errors are tried again
    return error


def _cause(error: BaseException) -> str:
    """What the driver says: Optuna's own sentence, about invalid data, is wrong for a database that is away."""
    return " ".join(str(error.__cause__ or error).split())[:120]


def _is_away(error: BaseException) -> bool:
    """Whether the database did not answer, rather than refused."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    lost = isinstance(cause, DBAPIError) and cause.connection_invalidated
    return lost or isinstance(cause, OperationalError)
