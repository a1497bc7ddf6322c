"""Tune's way to ask what becomes of a trial: a thin adapter over the rungs."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from fer_ray.search.memory import SweepMemory
from fer_ray.search.rungs import Decision


class RungScheduler(FIFOScheduler):
    """Records each epoch in a `SweepMemory` and stops the trial if that says so.

    Args:
        memory: The sweep's.
    """

    def __init__(self, memory: SweepMemory) -> None:
        super().__init__()
        self.memory = memory

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Continues or stops; called for results without `done` only."""
        # Tune flattens results: the epoch's own columns lie under "row/", apart from what Tune adds.
        row = {key.removeprefix("row/"): value for key, value in result.items() if key.startswith("row/")}
        with self.memory.guarded():
            decision = self.memory.record_epoch(row)
        go_on = decision is Decision.CONTINUE and not self.memory.out_of_time()
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)
