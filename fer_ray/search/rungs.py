"""ASHA's decisions, pure: (trial, epoch, value) in, verdict out. Imports no Ray.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), algorithm 2, in its
stopping variant (section 3.1 of Ray Tune's and Optuna's implementations): a trial stops at a rung unless it is
among the best 1/eta of those that reached the rung so far.

Rules that the paper leaves open:

- The value at a rung is the trial's best up to there, so one noisy epoch costs nothing.
- NaN, infinite or missing (None): the trial stops at once, at any epoch, and enters no rung.
- At least one trial always passes: of n in a rung, max(1, floor(n / eta)) do, so the first to arrive goes on.
- Ties: the lower trial number is the better one; identical trials never all survive.
- Each trial enters a rung once. A retried or resumed trial that reports an epoch again gets the same verdict.
- A trial whose first report lies past a rung is not judged there: only at the highest rung that it has reached
  with this report and had not reached with its last.
- `max_epochs` ends a trial; it is no rung, and a report from there enters none: nothing is left to be stopped.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from fer_ray.errors import ConfigError
from fer_ray.objective import Mode


class Decision(StrEnum):
    """What becomes of a trial after an epoch."""

    CONTINUE = "continue"
    STOP = "stop"
    """Not among the best of its rung."""
    DIVERGED = "diverged"
    """Its value is NaN, infinite or missing."""
    FINISHED = "finished"
    """It has trained for `max_epochs`."""


@dataclass
class Rung:
    """The trials that have reached an epoch.

    Args:
        epoch: Its milestone, from 1.
        values: Trial number -> value, finite.
        decisions: Trial number -> what was decided when it arrived.
        arrivals: Trial number -> the epoch of the report with which it arrived, this rung's or a later one.
    """

    epoch: int
    values: dict[int, float] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    arrivals: dict[int, int] = field(default_factory=dict)


class Rungs:
    """Decides which trials go on.

    Args:
        max_epochs: Of a trial that is never stopped, at least 1.
        mode: Whether large or small values are better.
        eta: Of n trials at a rung the best floor(n / eta) go on; at least 2. None: nothing is stopped early.
        grace: Epoch of the first rung, at least 1; further ones follow at grace * eta ** k below `max_epochs`.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    def __init__(self, *, max_epochs: int, mode: Mode, eta: int | None = 3, grace: int = 1) -> None:
        _require("max_epochs", max_epochs, 1)
        _require("grace", grace, 1)
        self.max_epochs, self.mode, self.eta = max_epochs, mode, eta
        self.rungs: list[Rung] = []
        self._last_epoch: dict[int, int] = {}
        if eta is not None:
            _require("eta", eta, 2)
            while grace < max_epochs:
                self.rungs.append(Rung(grace))
                grace *= eta

    @property
    def epochs(self) -> frozenset[int]:
        """The rungs' epochs."""
        return frozenset(rung.epoch for rung in self.rungs)

    def record(self, trial: int, epoch: int, value: float | None) -> Decision:
        """Enters a report and decides.

        Args:
            trial: The trial's number.
            epoch: Epochs that it has trained, from 1.
            value: Its best objective so far; None if it reported none.

        Returns:
            What becomes of the trial.
        """
        if value is None or not math.isfinite(value):
            return Decision.DIVERGED
        ends = epoch >= self.max_epochs
        decision = Decision.FINISHED if ends else self._judge(trial, epoch, value)
        self._last_epoch[trial] = max(epoch, self._last_epoch.get(trial, 0))
        return decision

    def rung_of(self, trial: int) -> Rung | None:
        """The highest rung that a trial has entered."""
        return next((rung for rung in reversed(self.rungs) if trial in rung.values), None)

    def _judge(self, trial: int, epoch: int, value: float) -> Decision:
        rung = next((rung for rung in reversed(self.rungs) if rung.epoch <= epoch), None)
        if rung is None:
            return Decision.CONTINUE
        if trial in rung.decisions:
            return rung.decisions[trial] if epoch == rung.arrivals[trial] else Decision.CONTINUE
        if self._last_epoch.get(trial, 0) >= rung.epoch:
            return Decision.CONTINUE
        rung.values[trial], rung.arrivals[trial] = value, epoch
        rung.decisions[trial] = Decision.CONTINUE if self._passes(rung, trial) else Decision.STOP
        return rung.decisions[trial]

    def _passes(self, rung: Rung, trial: int) -> bool:
        assert self.eta is not None
        sign = -1 if self.mode == "max" else 1
        ranked = sorted(rung.values, key=lambda number: (sign * rung.values[number], number))
        return ranked.index(trial) < max(1, len(ranked) // self.eta)


def _require(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"scheduler: {name}", f"must be at least {least}", str(value))
