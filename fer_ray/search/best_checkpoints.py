"""Which checkpoints a sweep keeps: those of open trials, and of the best one that has ended."""

import shutil
from collections.abc import Iterable

from fer_ray.search.folder import checkpoint_folder, checkpoint_folders
from fer_ray.search.history import History
from fer_ray.search.spec import SweepSpec


class BestCheckpoints:
    """Deletes the others.

    Args:
        spec: The sweep.
        history: Tells what the trials have reached.
    """

    def __init__(self, spec: SweepSpec, history: History) -> None:
        self._sweep, self._history = spec.path, history
        self._sign = -1 if spec.goal.mode == "max" else 1
        self._best: int | None = None

    def ended(self, number: int) -> None:
        """Takes note of a trial that has ended with a result: one of two gives way."""
        rivals = [number] if self._best is None else [self._best, number]
        self._best, *losers = sorted(rivals, key=self._rank)
        for loser in losers:
            self.delete(loser)

    def delete(self, number: int) -> None:
        """Deletes those of a trial."""
        shutil.rmtree(checkpoint_folder(self._sweep, number), ignore_errors=True)

    def delete_others(self, still_open: Iterable[int]) -> None:
        """Deletes what an earlier process left of trials that are neither open nor the best."""
        keep = {*still_open, self._best}
        for number, _ in checkpoint_folders(self._sweep):
            if number not in keep:
                self.delete(number)

    def _rank(self, number: int) -> tuple[float, int, int]:
        """Small is better, as `best_trial` ranks trials."""
        seen = self._history.of(number)
        assert seen.best is not None
        return self._sign * seen.best, seen.epoch, number
