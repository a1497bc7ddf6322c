"""Which of the epochs that trials report are new."""

from typing import Any

from fer_ray.search.memory import SweepMemory


class NewEpochs:
    """Knows the last epoch of each trial: one that goes on from a checkpoint reports that epoch again first.

    Args:
        memory: The sweep's, before it trains.
    """

    def __init__(self, memory: SweepMemory) -> None:
        self._last = {number: seen.epoch for number, seen in memory.progressed.items()}

    def take(self, row: dict[str, Any]) -> bool:
        """Whether the row's epoch had not been reported; it has now."""
        if row["epoch"] <= self._last.get(row["trial"], 0):
            return False
        self._last[row["trial"]] = row["epoch"]
        return True
