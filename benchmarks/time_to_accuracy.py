"""How long each tool takes, from its process's start, to a network of a given accuracy on FER2013.

Contenders (race_contenders.py): fer_ray with its defaults (TPE, ASHA, the space's default configuration first);
Ray Tune's ASHA with OptunaSearch, reused actors, the same first configuration and the same TPE; Keras Tuner's
Hyperband and BayesianOptimization; random search on Ray Tune. All train spaces/race.py, the baseline space with
8 to 16 filters, on 10,000 training images at 24 pixels, up to 9 epochs a trial, judged on the whole validation
split. What an epoch reached is written down, with its time, by that space itself; a contender that has reached
the highest target, or has used up the budget, is ended. A miss counts as the whole budget.

Targets come from a reference pool, the 72 random configurations in curves/fer2013_baseline.jsonl: the values
that the best quarter, tenth and twentieth of them reach (curves/targets.json). The middle one makes the
headline.

A unit is one seed and tool; each appends a line to results/time_to_accuracy.jsonl, and units that have one are
skipped. Odd seeds go through the tools backwards. Every tool may use both cores, as one process of two threads
or as two of one: Keras Tuner (Hyperband) is run both ways for some minutes first, with a seed of its own, and
the way that trains more epochs a minute is its way in the race (results/time_to_accuracy_ways.jsonl); the rest
runs two of one. The best configuration that a unit has seen is trained anew, and scored on test at its best
epoch, by --retrain, whose lines go to results/time_to_accuracy_winners.jsonl and whose time does not count.

    fer-ray data import fer2013.csv --size 24 --out data/fer2013_24
    python benchmarks/time_to_accuracy.py --data data/fer2013_24 [--seeds 5] [--retrain] [--quick]
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
LINES = HERE / "results/time_to_accuracy.jsonl"
WAYS, WINNERS = LINES.with_stem(f"{LINES.stem}_ways"), LINES.with_stem(f"{LINES.stem}_winners")
TARGETS = json.loads((HERE / "curves/targets.json").read_text())
TOOLS = ("ours", "ray_tune", "keras_tuner_hyperband", "keras_tuner_bayesian", "random_search")
BUDGET, QUICK_BUDGET, WAYS_BUDGET, WAYS_SEED = 600.0, 60.0, 150.0, 99
HEADLINE, SEEDS = "tenth", 5


@dataclass(frozen=True)
class Unit:
    """One race of one contender."""

    seed: int
    tool: str
    threads: int

    def race(self, data: Path, budget: float) -> dict[str, Any]:
        """Runs it and says what it reached when."""
        highest = max(TARGETS.values())
        with tempfile.TemporaryDirectory() as temporary:
            log = Path(temporary)
            program = [sys.executable, str(HERE / "race_contenders.py"), self.tool]
            arguments = [str(data.absolute()), temporary, str(self.seed), str(self.threads)]
            with (log / "output.txt").open("w") as output:
                started = time.time()
                process = subprocess.Popen(
                    program + arguments, env=_environment(), stdout=output, stderr=subprocess.STDOUT
                )
                while process.poll() is None and time.time() - started < budget:
                    if any(line["val_accuracy"] >= highest for line in epochs(log)):
                        break
                    time.sleep(0.5)
            if process.returncode is not None:
                raise SystemExit(f"{self} ended by itself:\n{(log / 'output.txt').read_text()[-4000:]}")
            end(process)
            return self._line(epochs(log), started, budget)

    def _line(self, found: list[dict[str, Any]], started: float, budget: float) -> dict[str, Any]:
        found = [line for line in found if line["ended"] - started <= budget]
        if not found:
            raise SystemExit(f"{self} finished no epoch")
        best = max(found, key=lambda line: line["val_accuracy"])
        seconds = {
            name: next(
                (round(line["ended"] - started, 1) for line in found if line["val_accuracy"] >= target), None
            )
            for name, target in TARGETS.items()
        }
        wall = found[-1]["ended"] - started
        return {
            "seed": self.seed,
            "tool": self.tool,
            "threads": self.threads,
            "seconds_to": seconds,
            "epochs_to": {
                name: sum(line["ended"] - started <= when for line in found) if when else None
                for name, when in seconds.items()
            },
            "first_epoch_began": round(min(line["began"] for line in found) - started, 1),
            "epochs": len(found),
            "configurations": len({json.dumps(line["values"], sort_keys=True) for line in found}),
            "wall": round(wall, 1),
            "in_epochs": round(sum(line["ended"] - line["began"] for line in found), 1),
            "median_epoch": round(statistics.median(line["ended"] - line["began"] for line in found), 2),
            "best": round(best["val_accuracy"], 4),
            "best_values": best["values"],
        }


def epochs(log: Path) -> list[dict[str, Any]]:
    """The epochs that all processes have finished, in order."""
    lines = [
        json.loads(text)
        for file in log.glob("*.jsonl")
        for text in file.read_text().splitlines(keepends=True)
        if text.endswith("\n")
    ]
    return sorted(lines, key=lambda line: float(line["ended"]))


def end(process: subprocess.Popen[Any]) -> None:
    """Ends a contender and whatever it has started."""
    import psutil

    descendants = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    _, alive = psutil.wait_procs([psutil.Process(process.pid), *descendants], timeout=20)
    for straggler in alive:
        straggler.kill()
    psutil.wait_procs(alive, timeout=20)
    process.wait()


def units(seeds: int) -> Iterator[Unit]:
    """What has to be raced, in order."""
    for seed in range(seeds):
        for tool in TOOLS if seed % 2 == 0 else TOOLS[::-1]:
            yield Unit(seed, tool, better_threads() if tool.startswith("keras_tuner") else 1)


def ways() -> Iterator[Unit]:
    """What has to be run before, to find Keras Tuner's better way."""
    return (Unit(WAYS_SEED, "keras_tuner_hyperband", threads) for threads in (2, 1))


def better_threads() -> int:
    """Threads of one process in the way that trained more epochs a minute."""
    return int(max(read_lines(WAYS), key=lambda line: float(line["epochs"] / line["wall"]))["threads"])


def figures(lines: list[dict[str, Any]], budget: float) -> dict[str, Any]:
    """What the lines say; only seeds that every tool has run count."""
    found_by = {(line["tool"], line["seed"]): line for line in lines}
    seeds = [s for s in sorted({line["seed"] for line in lines}) if all((t, s) in found_by for t in TOOLS)]
    by_tool = {tool: [found_by[tool, seed] for seed in seeds] for tool in TOOLS}
    found: dict[str, Any] = {}
    names = {"ray_tune": "ray_tune", "random_search": "random"}
    for tool in TOOLS[1:]:
        name = names.get(tool, tool)
        found |= _speedup(f"speedup_vs_{name}", by_tool[tool], by_tool["ours"], HEADLINE, budget)
    others = {
        target: {
            tool: _speedup("speedup", by_tool[tool], by_tool["ours"], target, budget) for tool in TOOLS[1:]
        }
        for target in TARGETS
        if target != HEADLINE
    }
    return {
        **found,
        "seeds": len(seeds),
        "budget_s": budget,
        "targets": TARGETS,
        "headline": HEADLINE,
        "tools": {tool: _factors(by_tool[tool], budget) for tool in TOOLS},
        "other_targets": others,
    }


def _seconds(lines: list[dict[str, Any]], target: str, budget: float) -> list[float]:
    return [line["seconds_to"][target] or budget for line in lines]


def _speedup(
    name: str, rival: list[dict[str, Any]], ours: list[dict[str, Any]], target: str, budget: float
) -> dict[str, float | None]:
    """The median of the paired ratios, and the lower end of the 95% t interval of their geometric mean."""
    from scipy import stats

    ratios = np.array(_seconds(rival, target, budget)) / np.array(_seconds(ours, target, budget))
    if not len(ratios):
        return {name: None, f"{name}_low": None}
    low = None
    if len(ratios) > 1:
        interval = stats.ttest_1samp(np.log(ratios), 0.0).confidence_interval(0.95)
        low = round(float(np.exp(interval.low)), 2)
    return {name: round(float(np.median(ratios)), 2), f"{name}_low": low}


def _factors(lines: list[dict[str, Any]], budget: float) -> dict[str, Any]:
    """Medians over the seeds of what a time to an accuracy is made of."""

    def median(values: list[float]) -> float | None:
        return round(statistics.median(values), 2) if values else None

    return {
        "seconds_to": {target: _seconds(lines, target, budget) for target in TARGETS},
        "missed": {target: sum(line["seconds_to"][target] is None for line in lines) for target in TARGETS},
        "epochs_to_headline": [line["epochs_to"][HEADLINE] for line in lines],
        "epochs_per_minute": median([60 * line["epochs"] / line["wall"] for line in lines]),
        # Of what two cores could have spent in epochs.
        "outside_epochs": median(
            [1 - line["in_epochs"] * line["threads"] / (2 * line["wall"]) for line in lines]
        ),
        "first_epoch_began_s": median([line["first_epoch_began"] for line in lines]),
        "median_epoch_s": median([line["median_epoch"] for line in lines]),
        "configurations": median([line["configurations"] for line in lines]),
        "best_validation": [line["best"] for line in lines],
        "threads": sorted({line["threads"] for line in lines}),
    }


def retrain(line: dict[str, Any], data: Path) -> dict[str, Any]:
    """Trains the best configuration of a unit anew and scores its best epoch on test."""
    from race_contenders import EPOCHS, hypermodel, load_data

    from fer_ray.data import open_dataset
    from fer_ray.results.evaluation import evaluate
    from fer_ray.training.threads import limit_threads

    limit_threads(1)
    import keras
    import keras_tuner

    keras.utils.set_random_seed(10_000 + line["seed"])
    loaded, dataset = load_data(data), open_dataset(data)
    space, hp = hypermodel(loaded, None), keras_tuner.HyperParameters()
    hp.values = dict(line["best_values"])
    model = space.build(hp)
    keeper = _keep_best(keras)
    (images, labels), validation = loaded
    space.fit(hp, model, images, labels, validation_data=validation, epochs=EPOCHS, callbacks=[keeper])
    model.set_weights(keeper.weights)
    images, labels = dataset.load("test")
    found = evaluate(labels, model.predict(images, batch_size=256, verbose=0), dataset.classes)
    return {
        "seed": line["seed"],
        "tool": line["tool"],
        "threads": line["threads"],
        "found": line["best"],
        "validation": round(keeper.best, 4),
        "test": found.accuracy,
        "test_interval": found.interval,
        "n": found.n,
    }


def _keep_best(keras: Any) -> Any:
    class KeepBest(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        best, weights = -1.0, None

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs["val_accuracy"] > self.best:
                self.best, self.weights = logs["val_accuracy"], self.model.get_weights()

    return KeepBest()


def _environment() -> dict[str, str]:
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "TF_CPP_MIN_LOG_LEVEL": "2"}


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


def append(file: Path, line: dict[str, Any]) -> None:
    with file.open("a") as opened:
        opened.write(json.dumps(line, separators=(",", ":")) + "\n")


def run_units(wanted: Iterator[Unit], data: Path, file: Path, budget: float, most: float) -> int:
    """Runs units that have no line yet, at most some of them; how many it ran."""
    done = {(line["seed"], line["tool"], line["threads"]) for line in read_lines(file)}
    ran = 0
    for unit in wanted:
        if (unit.seed, unit.tool, unit.threads) in done:
            continue
        if ran >= most:
            break
        line = unit.race(data, budget)
        append(file, line)
        print(json.dumps({key: value for key, value in line.items() if key != "best_values"}), flush=True)
        ran += 1
    return ran


def retrain_all(data: Path) -> None:
    done = {(line["seed"], line["tool"]) for line in read_lines(WINNERS)}
    for line in read_lines(LINES):
        if (line["seed"], line["tool"]) not in done:
            append(WINNERS, retrain(line, data))
            print(json.dumps(read_lines(WINNERS)[-1]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="FER2013, imported by `fer-ray data import --size 24`"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--units", type=int, help="how many to run now; all if absent")
    parser.add_argument("--retrain", action="store_true", help="score the winners instead of racing")
    parser.add_argument("--quick", action="store_true", help="a minute for each tool, kept nowhere")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parent))
    if options.quick:
        lines = [Unit(0, tool, 1).race(options.data, QUICK_BUDGET) for tool in TOOLS]
        print(json.dumps(figures(lines, QUICK_BUDGET)))
        return
    if options.retrain:
        retrain_all(options.data)
    else:
        most = math.inf if options.units is None else options.units
        most -= run_units(ways(), options.data, WAYS, WAYS_BUDGET, most)
        if most > 0:
            run_units(units(options.seeds), options.data, LINES, BUDGET, most)
    found = figures(read_lines(LINES), BUDGET)
    winners = read_lines(WINNERS)
    found["test"] = {tool: [line["test"] for line in winners if line["tool"] == tool] for tool in TOOLS}
    found["machine"] = {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
    if found["seeds"] >= SEEDS:
        LINES.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
