"""Tune's way to ask for trials: hands out the memory's proposals and tells it how they ended."""

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from fer_ray.search.memory import SweepMemory
from fer_ray.search.room import Room
from fer_ray.search.study import FailureKind


class StudySearcher(Searcher):
    """Asks a `SweepMemory`.

    Tune's `max_concurrent_trials` is not used: it would hold back the next proposal until a slot is free.

    Args:
        memory: The sweep's.
        room: For trials at a time.
    """

    def __init__(self, memory: SweepMemory, room: Room) -> None:
        super().__init__()
        self.memory, self.room = memory, room
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A configuration; None while it has to wait; `FINISHED` when no trial comes any more."""
        if self.memory.running >= self.room.trials:
            return None
        with self.memory.guarded():
            proposal = self.memory.propose()
        if proposal is None:
            return str(Searcher.FINISHED) if self.memory.ended else None
        self._numbers[trial_id] = proposal.number
        return {"trial": proposal.number, "values": proposal.values}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Gives the trial back to the memory."""
        number = self._numbers.pop(trial_id)
        if error:  # The scheduler has told the memory, with the reason.
            return
        ended = result or {}
        # Tune flattens results.
        measures = {
            key.removeprefix("measures/"): value
            for key, value in ended.items()
            if key.startswith("measures/")
        }
        kind = FailureKind.INFEASIBLE if ended.get("infeasible") else FailureKind.TRAINING
        with self.memory.guarded():
            self.memory.close(number, ended.get("failed"), kind, measures)

    def save(self, checkpoint_path: str) -> None:
        """What Tune keeps of it: nothing, since the study and the journal hold all."""
        Path(checkpoint_path).write_text(json.dumps({"study": self.memory.study.study_name}))

    def restore(self, checkpoint_path: str) -> None:
        """Not used: a sweep is resumed as a fresh Tune run over the same memory."""
        raise NotImplementedError("A sweep is resumed from its study and journal, not from Tune's snapshot.")
