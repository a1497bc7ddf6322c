"""How many trials a sweep may have at a time: nodes join while it runs, and lost ones may come back."""

import time
from collections.abc import Callable

from fer_ray.search.budget import Clock

_SECONDS_BETWEEN = 5.0


class Room:
    """As many trials as the cluster has held at most so far, and no more than the sweep asks for.

    Never fewer than before: the trial of a lost node waits for a place, and an autoscaler adds a node only where
    something waits. Where one may add nodes the sweep has all the trials that it asks for, and at least one.

    Args:
        held: How many the cluster holds now.
        most: How many the sweep asks for; None for no limit.
        grows: Whether an autoscaler may add nodes.
        clock: Tells the time.
    """

    def __init__(
        self,
        held: Callable[[], int],
        most: int | None = None,
        *,
        grows: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._held, self._most, self._grows, self._clock = held, most, grows, clock
        self.trials = self._now()
        self._looked = clock()

    def look(self) -> int:
        """How many trials now; asks the cluster again after some seconds.

        Raises:
            ClusterError: If its head is gone, of which the driver has no other sign while trials train.
        """
        if self._clock() - self._looked >= _SECONDS_BETWEEN:
            self._looked = self._clock()
            self.trials = max(self.trials, self._now())
        return self.trials

    def _now(self) -> int:
        held = self._held()
        if self._grows:
            return self._most or max(1, held)
        return held if self._most is None else min(held, self._most)
