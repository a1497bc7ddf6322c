"""How many results a second the driver of a sweep takes, and what one decision costs.

- results_per_s: a sweep of 50 workers, each a Ray actor under Tune, whose steps do nothing but report; searcher,
  rungs, study and journal are those of any sweep, with one fsync per result. From the first to the last result.
- tune_results_per_s: Ray Tune with the same actors and no searcher, scheduler or journal of ours.
- decision_us: microseconds of `Rungs.record` and `Rungs.due` with 1,000 trials at the rungs, promotion.

    python benchmarks/driver_load.py [--quick]
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ray import tune

REPOSITORY = Path(__file__).resolve().parent.parent
WORKERS, EPOCHS = 50, 27


class Trivial(tune.Trainable):
    """Reports at once."""

    def setup(self, config: dict[str, Any]) -> None:
        self.epoch = 0

    def step(self) -> dict[str, Any]:
        self.epoch += 1
        row = {
            "trial": self.config.get("trial", 0),
            "epoch": self.epoch,
            "seconds": 0.001,
            "worker": str(os.getpid()),
            "val_accuracy": (self.config.get("trial", 0) * 7919 % 1000) / 1000,
        }
        return {"row": row, "done": False} if self.epoch <= EPOCHS else {"done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.epoch = 0
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...

    def load_checkpoint(self, checkpoint: Any) -> None: ...


def ours(folder: Path, trials: int) -> dict[str, Any]:
    """Our scheduler, searcher, study and journal over trivial actors."""
    import optuna

    from fer_ray.results.journal import EpochJournal
    from fer_ray.search.folder import journal_path
    from fer_ray.search.memory import SweepMemory
    from fer_ray.search.scheduler import RungScheduler
    from fer_ray.search.searcher import StudySearcher
    from fer_ray.search.spec import SweepSpec
    from fer_ray.search.storage import open_storage
    from fer_ray.search.tuning import tune_environment
    from fer_ray.spaces import Space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    content = {"name": "load", "data": "none", "space": {"file": "none.py"}, "folder": str(folder)}
    # Every trial trains to its end: as many results as can be.
    scheduler = {"eta": 3, "max_epochs": EPOCHS, "kind": "asha", "grace": EPOCHS}
    spec = SweepSpec.parse(
        {**content, "searcher": {"kind": "random"}, "scheduler": scheduler, "max_trials": trials}
    )
    spec.path.mkdir(parents=True)
    entry = {"name": "x", "default": None, "conditions": [], "min_value": 0.0, "max_value": 1.0}
    space = {"space": [{"class_name": "Float", "config": {**entry, "step": None, "sampling": "linear"}}]}
    memory = SweepMemory(spec, Space.from_config({**space, "values": {}}), open_storage(spec))
    with tune_environment(WORKERS):
        started = time.monotonic()
        tuner(folder, "ours", StudySearcher(memory, WORKERS), RungScheduler(memory), -1).fit()
        seconds = time.monotonic() - started
    rows = EpochJournal(journal_path(spec.path)).read()
    moments = [row["timestamp"] for row in rows if "epoch" in row]
    from datetime import datetime

    span = (datetime.fromisoformat(moments[-1]) - datetime.fromisoformat(moments[0])).total_seconds()
    assert len(moments) == trials * EPOCHS
    return {"results_per_s": round(len(moments) / span, 1), "seconds": round(seconds, 1)}


def plain(folder: Path, trials: int) -> float:
    """Tune alone."""
    from fer_ray.search.tuning import tune_environment

    seen: list[float] = []

    class Count(tune.Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            seen.append(time.monotonic())

    with tune_environment(WORKERS):
        tuner(folder, "plain", None, None, trials, [Count()]).fit()
    return round(len(seen) / (seen[-1] - seen[0]), 1)


def tuner(
    folder: Path, name: str, searcher: Any, scheduler: Any, samples: int, callbacks: list[Any] | None = None
) -> Any:
    """As `fer_ray.search.tuning` makes it, over trivial actors."""
    return tune.Tuner(
        tune.with_resources(Trivial, tune.PlacementGroupFactory([{"CPU": 0.04}])),
        tune_config=tune.TuneConfig(
            search_alg=searcher, scheduler=scheduler, num_samples=samples, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(folder.absolute()),
            callbacks=callbacks or [],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def decision_us(trials: int) -> float:
    """Of a report at a rung and the question who advances, with so many trials there."""
    import random

    from fer_ray.search.rungs import Decision, Rungs

    rungs = Rungs(max_epochs=27, mode="max", eta=3, promotion=True)
    values = [random.Random(number).random() for number in range(2 * trials)]
    for trial in range(trials):
        rungs.record(trial, 1, values[trial])
    while (due := rungs.due()) is not None:
        rungs.advance(due)
        if rungs.record(due, 3, values[due]) is Decision.PAUSE:
            continue
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
    parser.add_argument("--quick", action="store_true", help="a fifth of the trials")
    options = parser.parse_args()
    import ray

    trials = 60 if options.quick else 300
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as temporary:
        found = ours(Path(temporary), trials)
        alone = plain(Path(temporary), trials)
    ray.shutdown()
    figures = {
        **found,
        "decision_us": decision_us(1000),
        "tune_results_per_s": alone,
        "workers": WORKERS,
        "trials": trials,
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }
    if not options.quick:
        (REPOSITORY / "benchmarks/results/driver_load.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
