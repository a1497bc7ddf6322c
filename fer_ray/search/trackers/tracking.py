"""What a tracker is, and the callback of Tune that tells it."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from optuna.trial import TrialState
from ray.tune import Callback

from fer_ray.search.memory import SweepMemory
from fer_ray.search.new_epochs import NewEpochs
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import values_of
from fer_ray.spaces import Values

_log = logging.getLogger(__name__)
#: Of an epoch's row; the rest are its metrics.
_NO_METRICS = frozenset({"trial", "epoch", "worker", "decision", "timestamp"})


class Tracker(Protocol):
    """One run for each trial; a sweep that is resumed goes on with the runs that it had."""

    name: str

    def begin(self, trial: int, values: Values) -> None:
        """A trial begins or goes on, with these hyperparameters; one that is open stays as it is."""

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of it has ended; its finite metrics."""

    def end(self, trial: int, values: Values, state: TrialState, best: float | None) -> None:
        """It has ended, with its best primary objective, if it has one."""

    def close(self) -> None:
        """No more comes."""


def open_trackers(spec: SweepSpec) -> list[Tracker]:
    """The trackers that a sweep file names."""
    if not spec.tracking.tensorboard:
        return []
    from fer_ray.search.trackers.tensorboard import TensorBoard

    return [TensorBoard(spec.path / "tensorboard", spec.goal.metric)]


class Tracking(Callback):
    """Tells trackers what Tune trains. One that fails is told nothing more, and the sweep goes on.

    Args:
        memory: The sweep's.
        trackers: To tell.
    """

    def __init__(self, memory: SweepMemory, trackers: Sequence[Tracker]) -> None:
        self.memory, self._trackers = memory, list(trackers)
        self._new = NewEpochs(memory)
        # Trials that are paused from an earlier run may end without being trained again.
        self._open: dict[int, Values] = {
            trial.number: values_of(trial) for trial in memory.trials() if not trial.state.is_finished()
        }

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begins a trial's run."""
        number, values = trial.config["trial"], trial.config["values"]
        self._open[number] = values
        self._tell(lambda tracker: tracker.begin(number, values))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Logs an epoch."""
        row = result.get("row")
        if not row or not self._new.take(row):
            return
        metrics = {
            name: float(value)
            for name, value in row.items()
            if name not in _NO_METRICS and value is not None and math.isfinite(value)
        }
        self._tell(lambda tracker: tracker.epoch(row["trial"], row["epoch"], metrics))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ends the runs of trials that the study has closed; one that is paused goes on later."""
        self._end_closed()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ends its run, if it is not tried again."""
        self._end_closed()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Ends what is left and closes the trackers."""
        self._end_closed()
        self._tell(lambda tracker: tracker.close())

    def _end_closed(self) -> None:
        if not self._trackers or not self._open:
            return
        for frozen in self.memory.study.get_trials(deepcopy=False):
            if frozen.number in self._open and frozen.state.is_finished():
                self._end(frozen.number, frozen.state, frozen.user_attrs.get("best_value"))

    def _end(self, number: int, state: TrialState, best: float | None) -> None:
        values = self._open.pop(number)
        self._tell(lambda tracker: tracker.begin(number, values))
        self._tell(lambda tracker: tracker.end(number, values, state, best))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                call(tracker)
            except Exception as error:  # whatever a tracker's library or server raises
                self._trackers.remove(tracker)
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                _log.warning("%s is told nothing more of this sweep: %s", tracker.name, reason)
