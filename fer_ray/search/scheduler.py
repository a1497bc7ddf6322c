"""Tune's way to ask what becomes of a trial: a thin adapter over the rungs."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from fer_ray.search.lost_workers import take_back
from fer_ray.search.memory import SweepMemory


class RungScheduler(FIFOScheduler):
    """Records each epoch in a `SweepMemory` and ends the trial if that says so.

    A trial that pauses at a rung ends for Tune. If it advances later, the searcher hands it out again, and it goes
    on from its checkpoint: a paused trial of Tune's would keep its slot, and never end if it never advances.

    Args:
        memory: The sweep's.
    """

    def __init__(self, memory: SweepMemory) -> None:
        super().__init__()
        self.memory = memory
        self._pending: list[Any] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes note of a trial that has to wait for a worker."""
        self._pending.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first trial for which not even a worker is starting; None if there is none.

        Tune's own choice is the first that waits. It would get the next worker that is free, and Tune would end the
        one that is starting for it: where trials end sooner than workers start, a node that has joined, or has come
        back, would never have one.
        """
        self._pending = [trial for trial in self._pending if trial.status == trial.PENDING]
        placed, actors = tune_controller._trial_to_actor, tune_controller._actor_manager
        return next(
            (
                trial
                for trial in self._pending
                if trial not in placed or not actors.is_actor_started(placed[trial])
            ),
            None,
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Continues or stops; called for results without `done` only."""
        # Tune flattens results: the epoch's own columns lie under "row/", apart from what Tune adds.
        row = {key.removeprefix("row/"): value for key, value in result.items() if key.startswith("row/")}
        with self.memory.guarded():
            goes_on = self.memory.goes_on(row["trial"], self.memory.record_epoch(row))
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Tells the memory why a trial's worker is gone, before the searcher is told that it is."""
        with self.memory.guarded():
            take_back(self.memory, trial)
