"""Tune's way to ask for trials: hands out the memory's proposals and tells it how they ended."""

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from fer_ray.search.memory import SweepMemory
from fer_ray.search.study import FailureKind


class StudySearcher(Searcher):
    """Asks a `SweepMemory`.

    It counts running trials itself: Tune's `max_concurrent_trials` would hold back the next proposal until a
    slot is free, and keep slots for paused trials.

    Args:
        memory: The sweep's.
        concurrency: Trials at a time.
    """

    def __init__(self, memory: SweepMemory, concurrency: int) -> None:
        super().__init__()
        self.memory, self.concurrency = memory, concurrency
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A configuration; None while it has to wait; `FINISHED` when no trial comes any more."""
        if len(self._numbers) >= self.concurrency:
            return None
        proposal = self.memory.propose()
        if proposal is None:
            return str(Searcher.FINISHED) if self.memory.ended else None
        self._numbers[trial_id] = proposal.number
        return {"trial": proposal.number, "values": proposal.values}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Closes the trial in the study."""
        number, ended = self._numbers[trial_id], result or {}
        kind = FailureKind.INFEASIBLE if ended.get("infeasible") else FailureKind.TRAINING
        with self.memory.guarded():
            if error:
                reason = "its worker failed or died more often than `retries` allows; Ray's logs say why"
                self.memory.close(number, reason, FailureKind.WORKER)
            else:
                self.memory.close(number, ended.get("failed"), kind)
        del self._numbers[trial_id]

    def save(self, checkpoint_path: str) -> None:
        """What Tune keeps of it: nothing, since the study and the journal hold all."""
        Path(checkpoint_path).write_text(json.dumps({"study": self.memory.study.study_name}))

    def restore(self, checkpoint_path: str) -> None:
        """Not used: a sweep is resumed as a fresh Tune run over the same memory."""
        raise NotImplementedError("A sweep is resumed from its study and journal, not from Tune's snapshot.")
