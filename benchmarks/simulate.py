"""Schedulers and samplers over recorded and made-up learning curves, from 1 to 1,000 workers, in virtual time.

Curves: `fer2013`, the table that record_curves.py has recorded, and families of 1,000 made-up configurations of
four hyperparameters: `crossing` (fast ones end low), `late` (the good ones are flat at first), `misleading`
(the first epochs say the contrary), `noise` (every epoch is off by as much as good ones differ) and
`divergence` (a third become NaN, most often those with high rates).

Each is searched by random, TPE, QMC and CMA-ES proposals, with up to 4 workers also by TPE that models all
hyperparameters jointly, under ASHA stopping (from the first epoch on, and from the third) and promotion; random
ones also under no early stopping, the median rule, and promotion with brackets; at most 300 trials of 9 epochs or
four trials a worker, whichever is more. And by two rivals that need no tool: random search without early stopping
on twice the workers, and one-epoch top-k (one epoch each, then the best 1/9 to their end, as one would by hand).
The target is the top percent of 2,000 random configurations' best values. What is given are medians over seeds of
the virtual seconds to it, null where most missed it. Two searchers are left out: the grid, since the spaces have
ranges without a step, and the Gaussian process, which is not among the locked packages.

With 1,000 workers there is one seed. A proposal of TPE or CMA-ES takes the longer the more trials it has
seen: with 256 workers they have one seed, and with 1,000 they search `fer2013` only, by promotion.

A unit is one table and number of workers; each appends a line to results/simulate.jsonl, and ways to search that
have their figure in one are skipped. Units run side by side, one per core.

    python benchmarks/simulate.py [--quick]
"""

import argparse
import functools
import itertools
import json
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from fer_ray.search.curves import Curve, RecordedCurves, read_curves, write_curves
from fer_ray.search.simulate import Costs, Simulation, simulate
from fer_ray.search.spec import SweepSpec

HERE = Path(__file__).resolve().parent
LINES = HERE / "results/simulate.jsonl"
EPOCHS, SEEDS = 9, 3
WORKERS = (1, 4, 16, 64, 256, 1000)
SCHEDULERS: dict[str, dict[str, Any]] = {
    "none": {"kind": "none"},
    "median": {"kind": "median"},
    "stopping": {"variant": "stopping"},
    "stopping, grace 3": {"variant": "stopping", "grace": 3},
    "promotion": {"variant": "promotion"},
    "promotion, 2 brackets": {"variant": "promotion", "brackets": 2},
}
SEARCHERS: dict[str, dict[str, Any]] = {
    "random": {"kind": "random"},
    "tpe": {"kind": "tpe"},
    "tpe jointly": {"kind": "tpe", "options": {"multivariate": True}},
    "qmc": {"kind": "qmc"},
    "cmaes": {"kind": "cmaes"},
}
#: The rivals that need no tool.
TOP_K, TWICE = "one-epoch top-k", "random with twice the workers"
FAMILIES = ("crossing", "late", "misleading", "noise", "divergence")
NAMES = ("rate", "width", "decay", "mix")


def family(name: str, path: Path) -> RecordedCurves:
    """Makes a table of 1,000 configurations and reads it as a recorded one is read."""
    random = np.random.default_rng(FAMILIES.index(name))
    rows = []
    for number, point in enumerate(random.random((1000, 4))):
        values = np.clip(_values(name, point, random), 0.0, 1.0)
        if name == "divergence" and random.random() < 0.66 * point[0]:
            values[random.integers(0, EPOCHS) :] = np.nan
        seconds = np.cumsum(np.full(EPOCHS, 5 + 20 * point[1]))
        rows += [
            {
                "configuration": number,
                "epoch": epoch + 1,
                "seconds": float(seconds[epoch]),
                "val_accuracy": float(values[epoch]),
                **{f"hp.{key}": float(place) for key, place in zip(NAMES, point, strict=True)},
            }
            for epoch in range(EPOCHS)
        ]
    write_curves(path, rows, {"space": [_entry(key) for key in NAMES], "values": {}})
    return read_curves(path, "val_accuracy")


def _values(name: str, point: Any, random: np.random.Generator) -> Any:
    """The curve of a configuration: how good it ends is a smooth function of all four, best at 0.6."""
    end = 0.9 - 0.8 * float(((point - 0.6) ** 2).sum())
    epochs = np.arange(1, EPOCHS + 1)
    speed = {"crossing": 0.15 + 1.2 * (1 - end), "late": 0.4}.get(name, 0.5)
    rise = 1 - np.exp(-speed * epochs)
    if name == "late":
        rise = 1 / (1 + np.exp(-(epochs - 2 - 4 * end)))
    values = end * rise
    if name == "misleading":
        values = np.where(epochs <= 2, (1 - end) * rise, values)
    return values + random.normal(0, 0.06 if name == "noise" else 0.005, EPOCHS)


def _entry(name: str) -> dict[str, Any]:
    config = {"name": name, "default": None, "conditions": [], "min_value": 0.0, "max_value": 1.0}
    return {"class_name": "Float", "config": {**config, "step": None, "sampling": "linear"}}


@functools.cache
def table(name: str) -> RecordedCurves:
    """The recorded curves, or a family's."""
    if name == "fer2013":
        return read_curves(HERE / "curves/fer2013_baseline.parquet", "val_accuracy")
    with tempfile.TemporaryDirectory() as temporary:
        return family(name, Path(temporary) / f"{name}.parquet")


def takes_part(searcher: str, way: str, name: str, workers: int, seed: int) -> bool:
    """Whether proposals take minutes and not hours of real time."""
    if searcher != "random" and way not in ("stopping", "stopping, grace 3", "promotion"):
        return False
    if searcher == "tpe jointly":
        return workers <= 4
    slow = searcher in ("tpe", "cmaes")
    if slow and workers > 256:
        return name == "fer2013" and way == "promotion"
    return not slow or workers <= 64 or seed == 0


def spec_of(searcher: str, scheduler: dict[str, Any], trials: int, seed: int) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": "simulated",
            "data": "none",
            "space": {"file": "none.py"},
            "searcher": {**SEARCHERS[searcher], "known": []},
            "scheduler": {"max_epochs": EPOCHS, **scheduler},
            "max_trials": trials,
            "seed": seed,
        }
    )


def top_percent(curves: RecordedCurves) -> float:
    """The value that one random configuration of a hundred reaches."""
    best = [np.nanmax([*curve.values, -math.inf]) for curve in random_curves(curves, 2000, seed=99)]
    return float(np.quantile(best, 0.99))


def random_curves(curves: RecordedCurves, count: int, seed: int) -> Iterator[Curve]:
    import optuna

    from fer_ray.spaces.optuna_bridge import suggest

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return (curves.curve(suggest(curves.space, study.ask())) for _ in range(count))


def one_epoch_top_k(curves: RecordedCurves, workers: int, trials: int, seed: int, target: float) -> float:
    """Virtual seconds to the target: all for one epoch, then the best ninth to their end, started anew."""
    costs = Costs()
    found = list(random_curves(curves, trials, seed))
    free = [costs.startup] * workers
    ends: list[tuple[float, float]] = []

    def train(curve: Curve, epochs: int) -> None:
        worker = free.index(min(free))
        free[worker] += costs.trial
        for epoch in range(epochs):
            free[worker] += float(curve.seconds[epoch])
            ends.append((free[worker], float(curve.values[epoch])))

    for curve in found:
        train(curve, 1)
    free = [max(free)] * workers
    firsts = [-math.inf if np.isnan(curve.values[0]) else curve.values[0] for curve in found]
    for place in sorted(range(trials), key=lambda place: -firsts[place])[: max(1, trials // EPOCHS)]:
        train(found[place], EPOCHS)
    return min((when for when, value in ends if value >= target), default=math.inf)


def race(name: str, workers: int, seeds: int, known: Collection[str]) -> dict[str, float]:
    """Median virtual seconds to the target, of each way to search a table but the known; infinite for a miss."""
    curves = table(name)
    target, trials = top_percent(curves), max(300, 4 * workers)
    times: dict[str, list[float]] = {}
    for seed in range(seeds):
        for searcher in SEARCHERS:
            for way, scheduler in SCHEDULERS.items():
                if f"{searcher}, {way}" in known or not takes_part(searcher, way, name, workers, seed):
                    continue
                spec = spec_of(searcher, scheduler, trials, seed)
                # It stops where it is known to be: what comes later does not count.
                spec = spec.model_copy(update={"target": target})
                found: Simulation = simulate(spec, curves, workers)
                times.setdefault(f"{searcher}, {way}", []).append(found.seconds_to(target))
        if TOP_K not in known:
            times.setdefault(TOP_K, []).append(one_epoch_top_k(curves, workers, trials, seed, target))
    if TWICE not in known:
        times[TWICE] = [simulate_random(curves, 2 * workers, trials, seed, target) for seed in range(seeds)]
    return {name: round(statistics.median(found), 1) for name, found in times.items()}


def simulate_random(curves: RecordedCurves, workers: int, trials: int, seed: int, target: float) -> float:
    spec = spec_of("random", {"kind": "none"}, 2 * trials, 1000 + seed)
    spec = spec.model_copy(update={"target": target})
    return simulate(spec, curves, workers).seconds_to(target)


def unit(name: str, workers: int, seeds: int, known: Collection[str] = ()) -> dict[str, Any]:
    """One line: a table searched by a number of workers, in all ways but those whose figures are known."""
    started = time.monotonic()
    seeds = seeds if workers <= 256 else 1
    seconds = _finite(race(name, workers, seeds, known))
    real = round(time.monotonic() - started, 1)
    return {"table": name, "workers": workers, "seeds": seeds, "seconds": seconds, "real_s": real}


def read_lines() -> list[dict[str, Any]]:
    return [json.loads(text) for text in LINES.read_text().splitlines()] if LINES.exists() else []


def ways(name: str, workers: int) -> set[str]:
    """All that a unit has figures of."""
    pairs = itertools.product(SEARCHERS, SCHEDULERS)
    searched = {f"{each}, {way}" for each, way in pairs if takes_part(each, way, name, workers, seed=0)}
    return searched | {TOP_K, TWICE}


def run_units() -> None:
    """Runs what has no figure yet, the longest first."""
    known: dict[tuple[str, int], set[str]] = defaultdict(set)
    for line in read_lines():
        known[line["table"], line["workers"]].update(line["seconds"])
    every = [(name, workers) for workers in reversed(WORKERS) for name in ("fer2013", *FAMILIES)]
    wanted = [one for one in every if ways(*one) - known[one]]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(unit, *one, SEEDS, known[one]) for one in wanted]
        for number, future in enumerate(as_completed(futures), start=1):
            line = future.result()
            with LINES.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{number} of {len(wanted)} units: {line}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the recorded table, 4 and 64 workers, one seed")
    options = parser.parse_args()
    if options.quick:
        lines = [unit("fer2013", workers, 1) for workers in (4, 64)]
    else:
        run_units()
        lines = read_lines()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for line in lines:
        times = {way: math.inf if when is None else when for way, when in line["seconds"].items()}
        results.setdefault(line["table"], {}).setdefault(str(line["workers"]), {}).update(times)
    figures = {
        "seconds_to_top_percent": _finite(results),
        "best_by_table": {
            name: {workers: min(times, key=lambda way: times[way]) for workers, times in found.items()}
            for name, found in results.items()
        },
        "speedup_of_workers": {
            name: {
                workers: _ratio(found[min(found, key=int)]["random, promotion"], times["random, promotion"])
                for workers, times in found.items()
            }
            for name, found in results.items()
        },
        "loses_to": {name: _losses(found) for name, found in results.items()},
        "real_s": round(sum(line["real_s"] for line in lines), 1),
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }
    if not options.quick:
        LINES.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def _finite(results: Any) -> Any:
    """JSON has no infinity: a miss is null."""
    if isinstance(results, dict):
        return {key: _finite(value) for key, value in results.items()}
    return None if math.isinf(results) else results


def _ratio(one: float, other: float) -> float | None:
    return round(one / other, 2) if math.isfinite(one) and math.isfinite(other) and other else None


def _losses(found: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """Where TPE (random where it was left out) under ASHA is slower than a rival that needs no tool."""
    rivals = (TWICE, TOP_K)
    return {
        workers: [
            f"{ours} to {rival}"
            for scheduler in ("stopping", "promotion")
            for ours in [f"{'tpe' if f'tpe, {scheduler}' in times else 'random'}, {scheduler}"]
            for rival in rivals
            if times[ours] > times[rival]
        ]
        for workers, times in found.items()
    }


if __name__ == "__main__":
    main()
