"""How many results a second the driver of a sweep takes, and what one decision costs.

- results_per_s: a sweep of 50 workers, each a Ray actor under Tune, whose steps do nothing but report; searcher,
  rungs, study and journal are those of any sweep, with one fsync per result. From the moment when all of them have
  reported, for a minute.
- tune_results_per_s: Ray Tune with the same actors and no searcher, scheduler or journal of ours.
- decision_us: microseconds of `Rungs.record` and `Rungs.due` with 1,000 trials at the rungs, promotion.

    python benchmarks/driver_load.py [--quick]
"""

import argparse
import json
import math
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune

from fer_ray.search.memory import SweepMemory
from fer_ray.search.room import Room
from fer_ray.search.rungs import Rungs
from fer_ray.search.scheduler import RungScheduler
from fer_ray.search.searcher import StudySearcher
from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import StatusWatcher
from fer_ray.search.storage import open_storage
from fer_ray.search.tuning import tune_environment
from fer_ray.spaces import Space

REPOSITORY = Path(__file__).resolve().parent.parent
WORKERS = 50


class Trivial(tune.Trainable):
    """Reports at once, until the time in the file that all share has passed."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reported, self.end = 0, math.inf

    def step(self) -> dict[str, Any]:
        end = Path(self.config["end"])
        if self.reported % 10 == 0 and end.exists():
            self.end = float(end.read_text() or "inf")
        if time.time() > self.end:
            return {"done": True}
        self.reported += 1
        trial = self.config.get("trial", 0)
        row = {"trial": trial, "epoch": self.reported, "seconds": 0.001, "worker": str(os.getpid())}
        return {"row": {**row, "val_accuracy": trial / WORKERS}}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return False

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...

    def load_checkpoint(self, checkpoint: Any) -> None: ...


class Count(tune.Callback):
    """Counts results from the moment when all workers have reported, for some seconds.

    Args:
        end: The file that tells the workers when it is over.
        seconds: How long it counts.
    """

    def __init__(self, end: Path, seconds: float) -> None:
        self.end, self.seconds = end, seconds
        self.reported: set[str] = set()
        self.results = 0

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        if len(self.reported) < WORKERS:
            self.reported.add(trial.trial_id)
            if len(self.reported) == WORKERS:
                self.over = time.time() + self.seconds
                self.end.write_text(str(self.over))
        elif time.time() < self.over:
            self.results += 1

    def per_second(self) -> float:
        return round(self.results / self.seconds, 1)


class WithEnd(StudySearcher):
    """Ours, whose trials are told the file."""

    end: str

    def suggest(self, trial_id: str) -> Any:
        found = super().suggest(trial_id)
        return {**found, "end": self.end} if isinstance(found, dict) else found


def ours(folder: Path, seconds: float) -> float:
    """Our scheduler, searcher, study and journal over trivial actors."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    content = {"name": "load", "data": "none", "space": {"file": "none.py"}, "folder": str(folder)}
    # Rungs that every trial has passed when counting begins: none is stopped.
    scheduler = {"eta": 3, "max_epochs": 10**6, "grace": 10**6}
    spec = SweepSpec.parse(
        {**content, "searcher": {"kind": "random"}, "scheduler": scheduler, "max_trials": WORKERS}
    )
    spec.path.mkdir(parents=True)
    config = {"name": "x", "default": None, "conditions": [], "min_value": 0.0, "max_value": 1.0}
    entry = {"class_name": "Float", "config": {**config, "step": None, "sampling": "linear"}}
    space = Space.from_config({"space": [entry], "values": {}})
    memory = SweepMemory(spec, space, open_storage(spec))
    room = Room(lambda: WORKERS)
    searcher = WithEnd(memory, room)
    searcher.end = str(folder / "ours-end")
    count = Count(Path(searcher.end), seconds)
    with tune_environment(WORKERS):
        watcher = StatusWatcher(memory, room, lambda status: None)
        tuner(folder, "ours", searcher, RungScheduler(memory), -1, [count, watcher]).fit()
    return count.per_second()


def plain(folder: Path, seconds: float) -> float:
    """Tune alone."""
    end = folder / "plain-end"
    count = Count(end, seconds)
    with tune_environment(WORKERS):
        tuner(folder, "plain", None, None, WORKERS, [count], {"end": str(end)}).fit()
    return count.per_second()


def tuner(
    folder: Path,
    name: str,
    searcher: Any,
    scheduler: Any,
    samples: int,
    callbacks: list[Any],
    space: dict[str, Any] | None = None,
) -> Any:
    """As `fer_ray.search.tuning` makes it, over trivial actors."""
    return tune.Tuner(
        tune.with_resources(Trivial, tune.PlacementGroupFactory([{"CPU": 0.04}])),
        param_space=space,
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=scheduler, num_samples=samples),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(folder.absolute()),
            callbacks=callbacks,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def decision_us(trials: int) -> float:
    """Of a report at a rung and the question who advances, with so many trials there."""
    rungs = Rungs(max_epochs=27, mode="max", eta=3, promotion=True)
    values = [random.Random(number).random() for number in range(2 * trials)]
    for trial in range(trials):
        rungs.record(trial, 1, values[trial])
    while (due := rungs.due()) is not None:
        rungs.advance(due)
        rungs.record(due, 3, values[due])
    started = time.perf_counter()
    for trial in range(trials, 2 * trials):
        rungs.record(trial, 1, values[trial])
        if (due := rungs.due()) is not None:
            rungs.advance(due)
    return round((time.perf_counter() - started) / trials * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ten seconds of counting, not sixty")
    options = parser.parse_args()
    seconds = 10.0 if options.quick else 60.0
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as temporary:
        found = ours(Path(temporary), seconds)
        alone = plain(Path(temporary), seconds)
    ray.shutdown()
    figures = {
        "results_per_s": found,
        "decision_us": decision_us(1000),
        "tune_results_per_s": alone,
        "workers": WORKERS,
        "counted_s": seconds,
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }
    if not options.quick:
        (REPOSITORY / "benchmarks/results/driver_load.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
