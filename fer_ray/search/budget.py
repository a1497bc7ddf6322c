"""What ends a sweep before all its trials are trained: time, epochs, a target that was reached, a plateau."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fer_ray.search.spec import SweepSpec

if TYPE_CHECKING:
    from ray.tune.stopper import ExperimentPlateauStopper

#: Seconds that only grow; a simulation has its own.
Clock = Callable[[], float]


class Budget:
    """Adds up what the trials have used.

    Args:
        spec: The sweep; a time budget runs from now, the others over all runs of the sweep.
        clock: Tells the time.
    """

    def __init__(self, spec: SweepSpec, clock: Clock = time.monotonic) -> None:
        self._spec, self._clock = spec, clock
        self._deadline = clock() + spec.time_budget if spec.time_budget else None
        self._epochs = 0
        self._reached = False
        self._plateau = _plateau_stopper(spec)

    def record(self, value: float | None) -> None:
        """Counts an epoch that was trained, and its objective if it has one."""
        self._epochs += 1
        if value is None or not math.isfinite(value):
            return
        target = self._spec.target
        self._reached = self._reached or (target is not None and not self._spec.goal.better(target, value))
        if self._plateau is not None:
            self._plateau("", {self._spec.goal.metric: value})

    @property
    def spent(self) -> str | None:
        """The name of the budget that is used up; None if there is room in all."""
        if self.seconds_left == 0:
            return "time budget"
        if self._spec.epoch_budget is not None and self._epochs >= self._spec.epoch_budget:
            return "epoch budget"
        if self._reached:
            return "target reached"
        return "plateau" if self._plateau is not None and self._plateau.stop_all() else None

    def seconds_to_go(self, elapsed: float, ended: int, left: int, epochs: int) -> float | None:
        """Until the sweep ends, at the pace so far, by its trials, its epochs or its time, whichever comes first.

        Args:
            elapsed: Seconds so far.
            ended: Trials that have ended in that time.
            left: Trials that have not.
            epochs: Trained in that time.

        Returns:
            None before a trial has ended.
        """
        if not ended:
            return None
        most = self._spec.epoch_budget
        epochs_left = math.inf if most is None else max(most - self._epochs, 0)
        by_epochs = elapsed / epochs * epochs_left if epochs else math.inf
        return min(elapsed / ended * max(left, 0), by_epochs, self.seconds_left)

    @property
    def seconds_left(self) -> float:
        """Of the time budget; infinite without one."""
        return math.inf if self._deadline is None else max(self._deadline - self._clock(), 0.0)


def _plateau_stopper(spec: SweepSpec) -> "ExperimentPlateauStopper | None":
    """Ray's: the best values over all epochs lie so close together that nothing seems to get better."""
    if spec.plateau is None:
        return None
    from ray.tune.stopper import ExperimentPlateauStopper

    return ExperimentPlateauStopper(spec.goal.metric, mode=spec.goal.mode, **spec.plateau.model_dump())
