"""A sweep's epochs: the journal of them, and what follows from it: rungs, budgets, how far each trial has come.

Every verdict is on disk before Tune acts on it; a new process that reads the same journal stands where the earlier
one stood.
"""

from datetime import UTC, datetime
from typing import Any

from fer_ray.objective import MODEL_MEASURES, values_in
from fer_ray.results.journal import EpochJournal
from fer_ray.search.budget import Budget, Clock
from fer_ray.search.rungs import Decision, Rungs
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import Progressed


class History:
    """Records epochs and decides.

    Args:
        spec: The sweep.
        journal: Of its epochs; what it has is read again, and what was decided holds.
        clock: Tells the time.
    """

    def __init__(self, spec: SweepSpec, journal: EpochJournal, clock: Clock) -> None:
        self.objectives, self.journal = spec.goals, journal
        self.rungs = make_rungs(spec)
        self.budget = Budget(spec, clock)
        self.progressed: dict[int, Progressed] = {}
        for record in journal.read():
            self._replay(record)

    def of(self, number: int) -> Progressed:
        """What is known of a trial, which may not have trained yet."""
        return self.progressed.get(number, Progressed())

    def record(self, result: dict[str, Any]) -> Decision:
        """Decides what becomes of a trial after an epoch and writes both down.

        Args:
            result: As in `SweepMemory.record_epoch`. An epoch that is in the journal already is only decided on.
        """
        again = self._is_known(result)
        decision = self._decide(result)
        if not again:
            self._append({**result, "decision": decision.value})
            self._count(result)
        return decision

    def advance(self, number: int) -> None:
        """Lets a paused trial go on past its rung."""
        self._append({"trial": number, "advanced": True})
        self._advance(number)

    def _append(self, record: dict[str, Any]) -> None:
        self.journal.append({**record, "timestamp": datetime.now(UTC).isoformat()})

    def _replay(self, record: dict[str, Any]) -> None:
        if "advanced" in record:
            self._advance(record["trial"])
            return
        again = self._is_known(record)
        self._decide(record, Decision(record["decision"]) if "decision" in record else None)
        if not again:
            self._count(record)

    def _is_known(self, result: dict[str, Any]) -> bool:
        return bool(result["epoch"] <= self.of(result["trial"]).epoch)

    def _decide(self, result: dict[str, Any], decided: Decision | None = None) -> Decision:
        number, epoch, value = result["trial"], result["epoch"], self._value(result)
        seen = self.progressed.setdefault(number, Progressed())
        if value is not None and self.objectives[0].better(value, seen.best):
            seen.best, seen.best_epoch = value, epoch
            seen.values = {objective.metric: result[objective.metric] for objective in self.objectives}
        seen.measures |= {name: result[name] for name in MODEL_MEASURES if name in result}
        seen.epoch = max(epoch, seen.epoch)
        seen.decision = self.rungs.record(number, epoch, value, decided)
        return seen.decision

    def _advance(self, number: int) -> None:
        self.rungs.advance(number)
        self.progressed[number].decision = Decision.CONTINUE

    def _count(self, result: dict[str, Any]) -> None:
        self.progressed[result["trial"]].seconds += result["seconds"]
        self.budget.record(self._value(result))

    def _value(self, result: dict[str, Any]) -> float | None:
        """The primary objective's; None unless every objective has a finite one."""
        values = values_in(result, self.objectives)
        return None if values is None else values[self.objectives[0].metric]


def make_rungs(spec: SweepSpec) -> Rungs:
    """The rungs that a sweep's scheduler asks for."""
    scheduler, mode = spec.scheduler, spec.goal.mode
    if scheduler.kind == "median":
        from fer_ray.search.median import MedianStopping

        return MedianStopping(max_epochs=scheduler.max_epochs, mode=mode, grace=scheduler.grace)
    if scheduler.kind == "none":
        return Rungs(max_epochs=scheduler.max_epochs, mode=mode, eta=None)
    return Rungs(
        max_epochs=scheduler.max_epochs,
        mode=mode,
        eta=scheduler.eta,
        grace=scheduler.grace,
        brackets=scheduler.brackets,
        promotion=scheduler.variant == "promotion",
    )
