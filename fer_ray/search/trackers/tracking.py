"""What a tracker is, and the callback of Tune that tells it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from optuna.trial import TrialState
from ray.tune import Callback

from fer_ray.search.memory import SweepMemory
from fer_ray.search.new_epochs import NewEpochs
from fer_ray.search.study import values_of
from fer_ray.search.trackers.tracker_thread import TrackerThread
from fer_ray.spaces import Values

#: How long a sweep that has ended waits for a tracker that is behind.
_SECONDS_TO_CLOSE = 60.0
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


class Tracking(Callback):
    """Tells trackers what Tune trains. One that fails is told nothing more, and the sweep goes on.

    They are told in threads, so that training does not wait for a server.

    Args:
        memory: The sweep's.
        trackers: To tell.
    """

    def __init__(self, memory: SweepMemory, trackers: Sequence[Tracker]) -> None:
        self.memory, self.trackers = memory, trackers
        self._threads: list[TrackerThread[Tracker]] = []
        self._new = NewEpochs(memory)
        # Of a resumed sweep: some of them end although they train no more.
        left = (trial for trial in memory.trials() if not trial.state.is_finished())
        self._open: dict[int, Values] = {trial.number: values_of(trial) for trial in left}
        self._begun: set[int] = set()

    def setup(self, *arguments: Any, **info: Any) -> None:
        """Starts the threads; earlier, Tune pickles its callbacks."""
        self._threads = [TrackerThread(tracker) for tracker in self.trackers]

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begins a trial's run."""
        self._begin(trial.config["trial"], trial.config["values"])

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
        for thread in self._threads:
            thread.close(_SECONDS_TO_CLOSE)

    def _end_closed(self) -> None:
        if not self.trackers or not self._open:
            return
        for frozen in self.memory.study.get_trials(deepcopy=False):
            if frozen.number in self._open and frozen.state.is_finished():
                self._end(frozen.number, frozen.state, frozen.user_attrs.get("best_value"))

    def _begin(self, number: int, values: Values) -> None:
        self._open[number] = values
        self._begun.add(number)
        self._tell(lambda tracker: tracker.begin(number, values))

    def _end(self, number: int, state: TrialState, best: float | None) -> None:
        values = self._open[number]
        if number not in self._begun:
            self._begin(number, values)
        del self._open[number]
        self._tell(lambda tracker: tracker.end(number, values, state, best))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for thread in self._threads:
            thread.tell(call)
