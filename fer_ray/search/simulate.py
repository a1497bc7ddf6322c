"""Sweeps under a virtual clock: the same memory, rungs and samplers, over recorded curves instead of training."""

import heapq
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna

from fer_ray.errors import ConfigError
from fer_ray.progress import Progress, no_progress
from fer_ray.results.journal import EpochJournal
from fer_ray.search.curves import Curve
from fer_ray.search.memory import SweepMemory
from fer_ray.search.proposals import Proposal
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Space, Values


class Curves(Protocol):
    """What training shows, recorded or imagined."""

    @property
    def space(self) -> Space:
        """The space of the configurations."""

    def curve(self, values: Values) -> Curve:
        """The curve of a configuration, the same whenever it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a cluster costs besides training; all times in virtual seconds.

    Args:
        startup: Of a worker, before its first trial and after each preemption.
        trial: Of building a model, each time that a trial is handed out.
        checkpoint: Of writing one, at each rung.
        straggling: How uneven the workers are: the logarithm of how many times slower than the curves one is has a
            half-normal distribution of this scale. 0 makes all alike.
        preemptions: Per worker and hour; a trial then goes on from its last rung on the next free worker.
    """

    startup: float = 10.0
    trial: float = 1.0
    checkpoint: float = 0.1
    straggling: float = 0.0
    preemptions: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came of it.

    Args:
        workers: How many there were.
        seconds: Virtual, from the workers' start to the last trial's end.
        trials: Trained, in full or in part.
        epochs: Trained, repeated ones too.
        repeated: Epochs that a preemption had made to be trained again.
        best: The best objective.
        improvements: (virtual second, objective) of each new best.
        utilisation: Seconds inside epochs over seconds that workers were there, 0 to 1.
        ended: As in `Outcome`.
        reached: (bracket, epoch) -> trials that came there; the epochs are 0, the rungs and `max_epochs`.
    """

    workers: int
    seconds: float
    trials: int
    epochs: int
    repeated: int
    best: float
    improvements: list[tuple[float, float]] = field(repr=False)
    utilisation: float
    ended: str | None
    reached: dict[tuple[int, int], int] = field(repr=False)

    def seconds_to(self, target: float, mode: str = "max") -> float:
        """Virtual seconds until the objective was reached; infinite if it never was."""
        sign = 1 if mode == "max" else -1
        return next((when for when, value in self.improvements if sign * value >= sign * target), math.inf)


def simulate(
    spec: SweepSpec,
    curves: Curves,
    workers: int,
    costs: Costs | None = None,
    progress: Progress = no_progress,
) -> Simulation:
    """Runs a sweep on as many workers as one likes.

    Args:
        spec: The sweep; its data, space, storage and folder are not looked at.
        curves: What training shows. Trials end with their curve if that is shorter than `max_epochs`.
        workers: At least 1.
        costs: Besides training.
        progress: Told of trials that have ended.

    Raises:
        ConfigError: If the sweep has several objectives or constraints, of which curves tell nothing.
    """
    if len(spec.goals) > 1 or spec.constraints.limits:
        remedy = "Set objective to the primary one and constraints to {} for it"
        raise ConfigError("simulation", "must have one objective and no constraints", remedy=remedy)
    return _Cluster(spec, curves, workers, costs or Costs()).run(progress)


class _NoJournal(EpochJournal):
    """Keeps nothing: a simulation is not resumed."""

    def append(self, record: Mapping[str, Any]) -> None:
        """Forgets it."""

    def read(self) -> list[dict[str, Any]]:
        """Nothing."""
        return []


@dataclass
class _Worker:
    number: int
    speed: float
    ready: float
    dies: float
    proposal: Proposal | None = None
    curve: Curve | None = None
    epoch: int = 0


class _Cluster:
    """The events: a worker becomes free, an epoch ends, a worker is taken away."""

    def __init__(self, spec: SweepSpec, curves: Curves, workers: int, costs: Costs) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.spec, self.curves, self.costs = spec, curves, costs
        self.now = 0.0
        # Nothing is ever kept there.
        nowhere = spec.model_copy(update={"folder": Path("/nonexistent"), "storage": None, "study": None})
        self.memory = SweepMemory(
            nowhere,
            curves.space,
            optuna.storages.InMemoryStorage(),
            journal=_NoJournal(Path("/nonexistent")),
            clock=lambda: self.now,
        )
        self.random = np.random.default_rng(spec.seed)
        self.workers = [self._worker(number) for number in range(workers)]
        self.epochs = self.repeated = 0
        self.training = 0.0
        self.seconds = 0.0
        self.improvements: list[tuple[float, float]] = []
        self.checkpoints: dict[int, int] = {}
        self.events = [(worker.ready, worker.number) for worker in self.workers]
        self.idle: list[_Worker] = []
        heapq.heapify(self.events)

    def run(self, progress: Progress) -> Simulation:
        """Until the memory proposes nothing more and nobody trains."""
        while self.events:
            self.now, number = heapq.heappop(self.events)
            worker = self.workers[number]
            if worker.proposal is not None and self.now >= worker.dies:
                self._preempt(worker)
            elif worker.proposal is not None:
                self._end_epoch(worker)
            else:
                self.idle.append(worker)
            self._hand_out()
            progress("simulating", self.memory.closed + self.memory.paused, self.spec.max_trials)
        return self._result()

    def _worker(self, number: int) -> _Worker:
        speed = math.exp(-abs(self.random.normal(0, self.costs.straggling)))
        return _Worker(number, speed, self.costs.startup, self.costs.startup + self._life())

    def _life(self) -> float:
        rate = self.costs.preemptions / 3600
        return float(self.random.exponential(1 / rate)) if rate else math.inf

    def _hand_out(self) -> None:
        """Gives free workers what there is to train; the longest free first."""
        while self.idle and (proposal := self.memory.propose()) is not None:
            self._start(self.idle.pop(0), proposal)

    def _start(self, worker: _Worker, proposal: Proposal) -> None:
        if worker.dies <= self.now:
            # Taken away while it was free: its place is filled again.
            worker.dies = self.now + self.costs.startup + self._life()
        worker.proposal, worker.curve = proposal, self.curves.curve(proposal.values)
        worker.epoch = self.checkpoints.get(proposal.number, 0)
        self._begin_epoch(worker, self.costs.trial)

    def _begin_epoch(self, worker: _Worker, before: float) -> None:
        assert worker.curve is not None
        ends = self.now + before + float(worker.curve.seconds[worker.epoch]) / worker.speed
        heapq.heappush(self.events, (min(ends, worker.dies), worker.number))

    def _end_epoch(self, worker: _Worker) -> None:
        assert worker.proposal is not None and worker.curve is not None
        number, before = worker.proposal.number, self.memory.progressed.get(worker.proposal.number)
        seconds = float(worker.curve.seconds[worker.epoch]) / worker.speed
        value = float(worker.curve.values[worker.epoch])
        worker.epoch += 1
        self.epochs += 1
        self.repeated += before is not None and worker.epoch <= before.epoch
        self.training += seconds
        self._keep_best(value)
        row = {"trial": number, "epoch": worker.epoch, "seconds": seconds, self.spec.goal.metric: value}
        decision = self.memory.record_epoch(row)
        at_rung = worker.epoch in self.memory.rungs.epochs
        if at_rung:
            self.checkpoints[number] = worker.epoch
        ended = worker.epoch >= len(worker.curve.values) or not self.memory.goes_on(number, decision)
        if ended:
            self.memory.close(number)
            self._free(worker)
        else:
            self._begin_epoch(worker, self.costs.checkpoint if at_rung else 0.0)

    def _preempt(self, worker: _Worker) -> None:
        assert worker.proposal is not None
        self.memory.go_on_later(worker.proposal.number)
        worker.proposal = None
        worker.dies = self.now + self.costs.startup + self._life()
        heapq.heappush(self.events, (self.now + self.costs.startup, worker.number))

    def _free(self, worker: _Worker) -> None:
        worker.proposal = None
        self.seconds = self.now
        self.idle.append(worker)

    def _keep_best(self, value: float) -> None:
        best = self.improvements[-1][1] if self.improvements else None
        if self.spec.goal.better(value, best):
            self.improvements.append((self.now, value))

    def _result(self) -> Simulation:
        return Simulation(
            workers=len(self.workers),
            seconds=self.seconds,
            trials=len(self.memory.progressed),
            epochs=self.epochs,
            repeated=self.repeated,
            best=self.improvements[-1][1] if self.improvements else math.nan,
            improvements=self.improvements,
            utilisation=self.training / max(self.seconds * len(self.workers), 1e-9),
            ended=self.memory.ended,
            reached=self._reached(),
        )

    def _reached(self) -> dict[tuple[int, int], int]:
        rungs, progressed = self.memory.rungs, self.memory.progressed
        began = Counter(rungs.bracket_of(number) for number in progressed)
        ended = Counter(
            rungs.bracket_of(number)
            for number, seen in progressed.items()
            if seen.decision is Decision.FINISHED
        )
        found: dict[tuple[int, int], int] = {}
        for bracket, levels in enumerate(rungs.brackets):
            found[bracket, 0] = began[bracket]
            found |= {(bracket, rung.epoch): len(rung.values) for rung in levels}
            found[bracket, rungs.max_epochs] = ended[bracket]
        return found
