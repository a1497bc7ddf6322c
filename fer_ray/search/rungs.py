"""Successive halving's decisions, pure: (trial, epoch, value) in, verdict out. Imports no Ray.

Sources: Li et al. 2020, "A System for Massively Parallel Hyperparameter Training" (ASHA), algorithm 2, for
promotion; its stopping variant as Ray Tune and Optuna have it; Li et al. 2018, "Hyperband", for the brackets.

- Stopping: a trial that reaches a rung stops there unless it is among the best 1/eta of those that have reached
  it so far. Who was stopped does not come back.
- Promotion: a trial that reaches a rung pauses there. Whenever a worker is free, the best paused trial of the
  highest rung with one among its best floor(n / eta) advances; if there is none, a new trial starts.
- Brackets: bracket b has no rungs below grace * eta ** b, so that late bloomers are judged later in some of them.
  Trials come to brackets by their number alone, in Hyperband's proportions, so a restart changes nothing.

Rules that the papers leave open:

- The value at a rung is the trial's best up to there, so one noisy epoch costs nothing.
- NaN, infinite or missing (None): the trial stops at once, at any epoch, and enters no rung.
- Stopping: at least one trial always passes: of n in a rung, max(1, floor(n / eta)) do, so the first to arrive
  goes on. Promotion: floor(n / eta); but once no new trials come, the best of the highest rung advances too, so
  that one trial of a sweep is trained to its end.
- A trial that would advance at once does not pause first.
- Ties: the lower trial number is the better one; identical trials never all survive.
- Each trial enters a rung once. A retried or resumed trial that reports an epoch again gets the verdict that now
  holds for it: the same, or to go on if it has advanced since.
- A trial whose first report lies past a rung is not judged there: only at the highest rung that it has reached
  with this report and had not reached with its last.
- A trial that will never go on, since it has failed or was closed, keeps its place in its rungs and is passed
  over; nobody takes its place.
- `max_epochs` ends a trial; it is no rung, and a report from there enters none: nothing is left to be stopped.
"""

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from enum import StrEnum

from fer_ray.errors import ConfigError
from fer_ray.objective import Mode


class Decision(StrEnum):
    """What becomes of a trial after an epoch."""

    CONTINUE = "continue"
    STOP = "stop"
    """Not among the best of its rung."""
    PAUSE = "pause"
    """Not yet among the best of its rung; it may advance later."""
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
        decisions: Trial number -> what was decided when it arrived; `CONTINUE` once it has advanced.
        arrivals: Trial number -> the epoch of the report with which it arrived, this rung's or a later one.
        ranking: (value, trial number), best first: the value negative where large ones are better.
        waiting: Those of the ranking that are paused here and may advance, best first.
    """

    epoch: int
    values: dict[int, float] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    arrivals: dict[int, int] = field(default_factory=dict)
    ranking: list[tuple[float, int]] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)


class Rungs:
    """Decides which trials go on.

    Args:
        max_epochs: Of a trial that is never stopped, at least 1.
        mode: Whether large or small values are better.
        eta: Of n trials at a rung the best floor(n / eta) go on; at least 2. None: nothing is stopped early.
        grace: Epoch of the first rung, at least 1; further ones follow at grace * eta ** k below `max_epochs`.
        brackets: At least 1. Bracket b leaves out the b lowest rungs; at most one has no rung at all.
        promotion: Whether trials pause at a rung, and may advance later, instead of stopping there.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        max_epochs: int,
        mode: Mode,
        eta: int | None = 3,
        grace: int = 1,
        brackets: int = 1,
        promotion: bool = False,
    ) -> None:
        _require("max_epochs", max_epochs, 1)
        _require("grace", grace, 1)
        _require("brackets", brackets, 1)
        if eta is not None:
            _require("eta", eta, 2)
        self.max_epochs, self.eta, self.promotion = max_epochs, eta, promotion
        self._sign = -1 if mode == "max" else 1
        epochs = rung_epochs(max_epochs, eta, grace)
        if brackets > len(epochs) + 1:
            rule = f"must be at most {len(epochs) + 1}, one more than the rungs {epochs}"
            raise ConfigError("scheduler: brackets", rule, str(brackets))
        self.brackets = [[Rung(epoch) for epoch in epochs[first:]] for first in range(brackets)]
        self._levels = sorted(
            (rung for rungs in self.brackets for rung in rungs), key=lambda rung: -rung.epoch
        )
        self._assigned: list[int] = []
        self._best: dict[int, float] = {}
        self._last_epoch: dict[int, int] = {}

    @property
    def epochs(self) -> frozenset[int]:
        """The rungs' epochs."""
        return frozenset(rung.epoch for rung in self.brackets[0])

    def bracket_of(self, trial: int) -> int:
        """The bracket of a trial, by its number: each time the one that is furthest behind its share.

        Hyperband gives bracket b, of s rungs and the end, a number of trials in proportion to eta ** s / (s + 1).
        """
        if len(self._assigned) <= trial:
            shares = [(self.eta or 1) ** len(rungs) / (len(rungs) + 1) for rungs in self.brackets]
            counts = [self._assigned.count(bracket) for bracket in range(len(self.brackets))]
            while len(self._assigned) <= trial:
                filled = [(count + 1) / share for count, share in zip(counts, shares, strict=True)]
                bracket = filled.index(min(filled))
                counts[bracket] += 1
                self._assigned.append(bracket)
        return self._assigned[trial]

    def record(
        self, trial: int, epoch: int, value: float | None, decided: Decision | None = None
    ) -> Decision:
        """Enters a report and decides.

        Args:
            trial: The trial's number.
            epoch: Epochs that it has trained, from 1.
            value: Its objective after this epoch; None if it reported none.
            decided: What was decided before, where a journal is read again.

        Returns:
            What becomes of the trial.
        """
        if value is None or not math.isfinite(value):
            return Decision.DIVERGED
        self._best[trial] = min(self._sign * value, self._best.get(trial, math.inf))
        ends = epoch >= self.max_epochs
        decision = Decision.FINISHED if ends else self._judge(trial, epoch, value, decided)
        self._last_epoch[trial] = max(epoch, self._last_epoch.get(trial, 0))
        return decision

    def due(self, *, last: bool = False) -> int | None:
        """The paused trial that advances next; None if none does now.

        Args:
            last: No new trials come any more, and none runs or was trained to its end.
        """
        waiting = [rung for rung in self._levels if rung.waiting]
        among_the_best = (rung for rung in waiting if self._best_of(rung, rung.waiting[0]))
        rung = next(among_the_best, waiting[0] if last and waiting else None)
        return None if rung is None else rung.waiting[0][1]

    def advance(self, trial: int) -> None:
        """Lets a paused trial go on past its rung; nothing happens to one that is not paused."""
        rung = self.rung_of(trial)
        if rung is not None and rung.decisions[trial] is Decision.PAUSE:
            rung.decisions[trial] = Decision.CONTINUE
            self.pass_over(trial)

    def pass_over(self, trial: int) -> None:
        """Takes note that a trial does not wait for its turn any more; it keeps its place."""
        rung = self.rung_of(trial)
        if rung is not None and trial in rung.values:
            place = (self._sign * rung.values[trial], trial)
            index = bisect_left(rung.waiting, place)
            if rung.waiting[index : index + 1] == [place]:
                del rung.waiting[index]

    def rung_of(self, trial: int) -> Rung | None:
        """The highest rung that a trial has entered."""
        rungs = self.brackets[self.bracket_of(trial)]
        return next((rung for rung in reversed(rungs) if trial in rung.values), None)

    def values_of(self, trial: int) -> dict[int, float]:
        """Epoch of each rung that a trial has entered -> its value there."""
        rungs = self.brackets[self.bracket_of(trial)]
        return {rung.epoch: rung.values[trial] for rung in rungs if trial in rung.values}

    def _judge(self, trial: int, epoch: int, value: float, decided: Decision | None) -> Decision:
        rungs = self.brackets[self.bracket_of(trial)]
        rung = next((rung for rung in reversed(rungs) if rung.epoch <= epoch), None)
        if rung is None:
            return Decision.CONTINUE
        if trial in rung.decisions:
            return rung.decisions[trial] if epoch == rung.arrivals[trial] else Decision.CONTINUE
        if self._last_epoch.get(trial, 0) >= rung.epoch:
            return Decision.CONTINUE
        place = (self._best[trial], trial)
        insort(rung.ranking, place)
        rung.values[trial], rung.arrivals[trial] = self._sign * place[0], epoch
        if self.promotion:
            self._pause(rung, place, decided)
        else:
            passes = self._best_of(rung, place, at_least=1)
            rung.decisions[trial] = decided or (Decision.CONTINUE if passes else Decision.STOP)
        return rung.decisions[trial]

    def _pause(self, rung: Rung, place: tuple[float, int], decided: Decision | None) -> None:
        """Pauses a trial, unless its turn to advance is now."""
        trial = place[1]
        rung.decisions[trial] = Decision.PAUSE
        insort(rung.waiting, place)
        goes_on = self.due() == trial if decided is None else decided is Decision.CONTINUE
        if goes_on:
            self.advance(trial)

    def _best_of(self, rung: Rung, place: tuple[float, int], at_least: int = 0) -> bool:
        """Whether a trial is among the best 1/eta of a rung."""
        assert self.eta is not None
        return bisect_left(rung.ranking, place) < max(at_least, len(rung.ranking) // self.eta)


def rung_epochs(max_epochs: int, eta: int | None, grace: int) -> list[int]:
    """Grace * eta ** k below `max_epochs`."""
    epochs: list[int] = []
    while eta is not None and grace < max_epochs:
        epochs.append(grace)
        grace *= eta
    return epochs


def _require(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"scheduler: {name}", f"must be at least {least}", str(value))
