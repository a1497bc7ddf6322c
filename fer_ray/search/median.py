"""Ray's median stopping rule, asked as the rungs are: it starts no Ray and has no cluster's state."""

import math
from dataclasses import dataclass

from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

from fer_ray.objective import Mode
from fer_ray.search.rungs import Decision, Rungs


@dataclass(frozen=True)
class _Trial:
    trial_id: int


class MedianStopping(Rungs):
    """Stops a trial whose best value is worse than the median of the others' running averages up to its epoch.

    Source: Golovin et al. 2017, "Google Vizier", as Ray Tune's `MedianStoppingRule` has it. There are no rungs.
    NaN, infinite and missing values, `max_epochs` and reports that come again are treated as in `Rungs`.

    Args:
        max_epochs, mode: As in `Rungs`.
        grace: Epochs of a trial before it is judged.
        min_trials: Other trials that must have come as far before one is judged.
    """

    def __init__(self, *, max_epochs: int, mode: Mode, grace: int = 1, min_trials: int = 3) -> None:
        super().__init__(max_epochs=max_epochs, mode=mode, eta=None, grace=grace)
        self._rule = MedianStoppingRule(
            time_attr="epoch",
            metric="value",
            mode=mode,
            grace_period=grace,
            min_samples_required=min_trials,
            # It never pauses to wait for others, for which it would ask Tune's controller.
            min_time_slice=math.inf,
        )
        self._decisions: dict[tuple[int, int], Decision] = {}

    def _judge(self, trial: int, epoch: int, value: float, decided: Decision | None) -> Decision:
        if (trial, epoch) not in self._decisions:
            stops = self._last_epoch.get(trial, 0) < epoch and self._stops(trial, epoch, value)
            found = Decision.STOP if stops else Decision.CONTINUE
            self._decisions[trial, epoch] = decided or found
        return self._decisions[trial, epoch]

    def _stops(self, trial: int, epoch: int, value: float) -> bool:
        result = {"epoch": epoch, "value": value}
        verdict = self._rule.on_trial_result(None, _Trial(trial), result)
        return bool(verdict == TrialScheduler.STOP)
