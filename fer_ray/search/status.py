"""How far a running sweep is, for people and programs that watch it, and for Ray's metrics."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import TrialState
from ray.tune import Callback

from fer_ray.search.live import Live, Work, live_path, write_live
from fer_ray.search.memory import SweepMemory
from fer_ray.search.metrics import SweepMetrics
from fer_ray.search.new_epochs import NewEpochs
from fer_ray.search.room import Room
from fer_ray.search.study import UNCOUNTED, FailureKind

_SECONDS_BETWEEN = 0.5


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """A moment of a sweep.

    Args:
        running, waiting, paused, finished, stopped, failed, infeasible: Trials that train now, wait for room on
            the cluster, wait at a rung, trained to their end, were stopped early, failed, or are infeasible.
        max_trials: How many the sweep will train.
        epochs: Trained so far, by all trials, in this process.
        best_value, best_trial: The best primary objective so far and the trial's number; None before any epoch.
        utilisation: Seconds inside training over seconds that workers were there, 0 to 1.
        elapsed: Seconds since the first trial was asked for.
        eta: Seconds to go, as `Budget.seconds_to_go`; None before the first trial has ended.
    """

    running: int
    waiting: int
    paused: int
    finished: int
    stopped: int
    failed: int
    infeasible: int
    max_trials: int
    epochs: int
    best_value: float | None
    best_trial: int | None
    utilisation: float
    elapsed: float
    eta: float | None


#: Called with the sweep's status every half second.
Watch = Callable[[SweepStatus], None]


class StatusWatcher(Callback):
    """Counts what Tune trains and tells the watcher, without asking the study: a database may be away.

    Args:
        memory: The sweep's.
        room: For workers at a time.
        watch: Told of each status.
    """

    def __init__(self, memory: SweepMemory, room: Room, watch: Watch) -> None:
        self.memory, self.room, self.watch = memory, room, watch
        self.started, self._told = time.monotonic(), 0.0
        self._provided, self._provided_until = 0.0, self.started
        self.ended_before = memory.closed + memory.paused
        self.epochs, self.training_seconds = 0, 0.0
        self._at_work: dict[str, Work] = {}
        self._workers: dict[str, str] = {}
        self._new = NewEpochs(memory)
        self.metrics = SweepMetrics(memory.spec.name, memory.objective.metric)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Counts an epoch."""
        row = result.get("row")
        if row and (work := self._at_work.get(trial.trial_id)):
            self._at_work[trial.trial_id] = replace(work, worker=row["worker"])
            self._workers[_actor(trial)] = row["worker"]
        if row and self._new.take(row):
            self.epochs += 1
            self.training_seconds += row["seconds"]
            self.metrics.epoch(row)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Takes note of a trial that has its worker."""
        self._at_work[trial.trial_id] = Work(
            trial=trial.config["trial"], worker=self._workers.get(_actor(trial)), since=time.time()
        )

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Takes note of a trial that has given its worker back."""
        self._at_work.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Takes note of a trial that has lost its worker."""
        self._at_work.pop(trial.trial_id, None)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Looks at the cluster and tells the watcher, twice a second."""
        if time.monotonic() - self._told >= _SECONDS_BETWEEN:
            self.room.look()
            self._told = time.monotonic()
            self._tell()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Tells the watcher how it ended."""
        self._tell()
        live_path(self.memory.spec.path).unlink(missing_ok=True)

    def status(self) -> SweepStatus:
        """How far the sweep is."""
        failures, ends = self.memory.failures, self.memory.ends
        running = min(self.memory.running, len(self._at_work))
        elapsed = time.monotonic() - self.started
        number, value = self.memory.best_so_far()
        return SweepStatus(
            running=running,
            waiting=self.memory.running - running,
            paused=self.memory.paused,
            finished=ends[TrialState.COMPLETE],
            stopped=ends[TrialState.PRUNED],
            failed=sum(failures.values()) - sum(failures[kind] for kind in UNCOUNTED),
            infeasible=failures[FailureKind.INFEASIBLE],
            max_trials=self.memory.spec.max_trials,
            epochs=self.epochs,
            best_value=value,
            best_trial=number,
            utilisation=self.training_seconds / max(self._worker_seconds(), 1e-9),
            elapsed=elapsed,
            eta=self._eta(elapsed),
        )

    def _tell(self) -> None:
        status = self.status()
        write_live(self.memory.spec.path, Live(eta=status.eta, work=tuple(self._at_work.values())))
        self.metrics.status(status)
        self.metrics.rungs(self.memory.rungs.epochs, (seen.epoch for seen in self.memory.progressed.values()))
        self.watch(status)

    def _worker_seconds(self) -> float:
        """Seconds that workers were there, all together; there may be more of them than at first."""
        now = time.monotonic()
        self._provided += (now - self._provided_until) * self.room.trials
        self._provided_until = now
        return self._provided

    def _eta(self, elapsed: float) -> float | None:
        ended = self.memory.closed + self.memory.paused
        left = self.memory.spec.max_trials - ended
        return self.memory.budget.seconds_to_go(elapsed, ended - self.ended_before, left, self.epochs)


def _actor(trial: Any) -> str:
    """Tells a trial's worker from others."""
    return str(trial.temporary_state.ray_actor._actor_id.hex())
