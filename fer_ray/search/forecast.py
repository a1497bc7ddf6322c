"""What a sweep will do, by its own rungs, samplers and budgets under a virtual clock, from measured paces."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from fer_ray.objective import Objective
from fer_ray.search.curves import Curve
from fer_ray.search.probe import Probed
from fer_ray.search.sections import ConstraintsSection, ObjectiveSection
from fer_ray.search.simulate import Costs, Simulation, simulate
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Space, Values

#: Trials that are simulated for the expected figures, a thousand to a few seconds.
_SIMULATED_TRIALS = 2000
_MOST_REPETITIONS = 50


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A figure of a sweep.

    Args:
        expected: The mean, if a trial is as likely to be better than one before it as not.
        at_most: If every trial is better than all before it; and, for times, as slow as the slowest probed.
    """

    expected: float
    at_most: float


@dataclass(frozen=True, kw_only=True)
class Level:
    """How many trials come to an epoch.

    Args:
        bracket: From 0.
        epoch: 0 for the trials that begin, a rung's, or `max_epochs` for those trained to their end.
        trials: That come there.
    """

    bracket: int
    epoch: int
    trials: Bounds


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a sweep will do.

    Args:
        levels: Of each bracket in turn, by epoch.
        trials: Trained, in full or in part.
        epochs: Of all trials together.
        seconds: Of searching; None where no pace is known.
        ended: What is expected to end it, and what does if every trial is better than all before.
    """

    levels: tuple[Level, ...]
    trials: Bounds
    epochs: Bounds
    seconds: Bounds | None
    ended: tuple[str, str]


def forecast(
    spec: SweepSpec, space: Space, workers: int, probed: Sequence[Probed], starting: float
) -> Forecast:
    """Simulates a sweep as often as is cheap.

    Not foreseen: a target that is reached, a plateau, configurations that cannot be built, lost workers.

    Args:
        spec: The sweep.
        space: What was discovered.
        workers: Trials at a time.
        probed: Configurations, of which some have a pace; without any there are no times.
        starting: Seconds until a worker can train.
    """
    timed = any(one.pace for one in probed)
    imagined, epochs = _without_surprises(spec, timed), spec.scheduler.max_epochs
    paces = _Paces(probed, epochs)
    ever_better = _Imagined(space, paces.slowest, _ever_better(spec.goal, epochs))
    worst = simulate(imagined, ever_better, workers, paces.costs(starting, max))
    usual = []
    for repetition in range(max(3, min(_MOST_REPETITIONS, _SIMULATED_TRIALS // spec.max_trials))):
        random = np.random.default_rng((spec.seed, repetition))
        curves = _Imagined(space, paces.drawn(random), _constant(random, epochs))
        seeded = imagined.model_copy(update={"seed": (spec.seed + repetition) % 2**31})
        usual.append(simulate(seeded, curves, workers, paces.costs(starting, median)))

    def bounds(figure: Callable[[Simulation], float]) -> Bounds:
        expected = fmean(figure(simulation) for simulation in usual)
        # One that is cut by a budget may come further where trials are faster.
        return Bounds(expected=expected, at_most=max(figure(worst), *map(figure, usual)))

    return Forecast(
        levels=tuple(
            Level(bracket=bracket, epoch=epoch, trials=bounds(_trials_at((bracket, epoch))))
            for bracket, epoch in worst.reached
        ),
        trials=bounds(lambda simulation: simulation.trials),
        epochs=bounds(lambda simulation: simulation.epochs),
        seconds=bounds(lambda simulation: simulation.seconds) if timed else None,
        ended=(Counter(str(one.ended) for one in usual).most_common(1)[0][0], str(worst.ended)),
    )


def _without_surprises(spec: SweepSpec, timed: bool) -> SweepSpec:
    """The sweep as far as it can be simulated."""
    # Proposals cost time and change nothing here, but for the grid, which comes to an end.
    kind = "grid" if spec.searcher.kind == "grid" else "random"
    return spec.model_copy(
        update={
            "searcher": spec.searcher.model_copy(update={"kind": kind, "options": {}, "warm_start": []}),
            "objective": ObjectiveSection(metric=spec.goal.metric, mode=spec.goal.mode),
            "constraints": ConstraintsSection(),
            "target": None,
            "plateau": None,
            "time_budget": spec.time_budget if timed else None,
        }
    )


def _trials_at(place: tuple[int, int]) -> Callable[[Simulation], float]:
    return lambda simulation: simulation.reached[place]


class _Imagined:
    """Curves of trials whose objective nobody knows.

    Args:
        space: Of the sweep.
        seconds: Tells the seconds of each epoch of a configuration.
        objectives: Tells its objective after each.
    """

    def __init__(
        self,
        space: Space,
        seconds: Callable[[Values], Sequence[float]],
        objectives: Callable[[], Sequence[float]],
    ) -> None:
        self.space, self._seconds, self._objectives = space, seconds, objectives
        self._curves: dict[tuple[tuple[str, object], ...], Curve] = {}

    def curve(self, values: Values) -> Curve:
        """As it was, if the trial has begun before."""
        key = tuple(values.items())
        if key not in self._curves:
            self._curves[key] = Curve(self._objectives(), self._seconds(values))
        return self._curves[key]


class _Paces:
    """How long the epochs of a configuration take, from those that were probed."""

    def __init__(self, probed: Sequence[Probed], max_epochs: int) -> None:
        self._paces = [one.pace for one in probed if one.pace is not None]
        self._known = [(one.values, one.pace.epochs(max_epochs)) for one in probed if one.pace is not None]
        self._all = [seconds for _, seconds in self._known] or [[1.0] * max_epochs]

    def slowest(self, values: Values) -> Sequence[float]:
        """The longest of each epoch, whatever the configuration."""
        return [max(epoch) for epoch in zip(*self._all, strict=True)]

    def drawn(self, random: np.random.Generator) -> Callable[[Values], Sequence[float]]:
        """Its own if it was probed, that of any other if not."""

        def seconds(values: Values) -> Sequence[float]:
            own = next((seconds for probed, seconds in self._known if probed == values), None)
            return own or self._all[random.integers(len(self._all))]

        return seconds

    def costs(self, starting: float, of: Callable[[list[float]], float]) -> Costs:
        """What comes besides the epochs: the median or the maximum of the probed."""
        if not self._paces:
            return Costs(startup=0, trial=0, checkpoint=0)
        return Costs(
            startup=starting,
            trial=of([pace.start for pace in self._paces]),
            checkpoint=of([pace.checkpoint_seconds for pace in self._paces]),
        )


class _Rising(Sequence[float]):
    """Values each of which is better than all that were read before, of any trial."""

    def __init__(self, length: int, steps: Iterator[int], sign: int) -> None:
        self._length, self._steps, self._sign = length, steps, sign

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> float:  # type: ignore[override]
        return float(self._sign * next(self._steps))


def _ever_better(objective: Objective, epochs: int) -> Callable[[], Sequence[float]]:
    steps, sign = itertools.count(), 1 if objective.mode == "max" else -1
    return lambda: _Rising(epochs, steps, sign)


def _constant(random: np.random.Generator, epochs: int) -> Callable[[], Sequence[float]]:
    """The order of trials, once seen, stays: it is their rank alone that decides."""
    return lambda: [random.random()] * epochs
