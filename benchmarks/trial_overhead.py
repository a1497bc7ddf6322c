"""Seconds per trial beyond the training steps themselves: bare Keras, Keras Tuner, Ray Tune, fer_ray.

    python benchmarks/trial_overhead.py [--quick] [--out benchmarks/results/trial_overhead.json]

Every contender trains the same number of trials of the same space (spaces/tiny_cnn.py) on the same drawn faces,
three epochs each, on two workers with one thread each, and is started in fresh processes. Rounds alternate between
them, so that a machine that slows down slows them all.

The overhead of a trial is the time from the end of its worker's previous trial to its own end, less its steps. Its
end is Keras's `on_train_end`, so waiting, proposing, hand-over, building, tracing, data pipeline, callbacks,
reports, checkpoints and cleaning up all count, wherever in the cycle they happen. Its steps are the batches of
training and validation as `StepClock` in the space file times them, inside Keras, for all contenders; the first
batch of each kind, which traces, counts as much as the median of the others. What is given is the median over the
trials after each worker's first; first trials (start of all processes to the end of the trial, less its steps) are
given apart. A process that replaces one that has ended is no new worker: its first trial is charged in full.

- bare: two processes; each clears Keras's session, builds, compiles, traces and trains one model after another.
- keras_tuner: `RandomSearch` as its chief and two workers, three processes, the parallel mode that it offers.
- ray_function: `tune.Tuner` with a function that calls `tune.report` each epoch, random search, reused actors, no
  loggers, data in the object store, two pending trials, snapshots once an hour: the fastest settings that we found.
- ours: `fer_ray.search.run` with searcher `random` and scheduler `none`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from trial_contenders import CONTENDERS, EPOCHS, WORKERS, command

IMAGES = 2000
#: (trials, rounds) of each contender.
QUICK, FULL = (12, 1), (24, 2)
PACKAGES = ("fer-ray", "ray", "keras", "tensorflow-cpu", "keras-tuner", "optuna", "tensorboard", "numpy")


def measure(contender: str, folder: Path, log: Path, trials: int) -> dict[str, Any]:
    """Runs a contender in fresh processes; overheads in seconds."""
    log.mkdir()
    started = time.time()
    with (log / "output.txt").open("w") as output:
        ended = subprocess.run(
            command(contender, folder, log, trials), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if ended.returncode:
        raise SystemExit(f"{contender} failed:\n{(log / 'output.txt').read_text()[-4000:]}")
    seconds = time.time() - started
    lines = [json.loads(line) for file in log.glob("*.jsonl") for line in file.read_text().splitlines()]
    # A sweep of ours first discovers its space on a handful of images, elsewhere.
    most = max(len(line["train"]) for line in lines)
    lines = sorted((line for line in lines if len(line["train"]) == most), key=lambda line: line["ended"])
    if len(lines) != trials:
        raise SystemExit(f"{contender} trained {len(lines)} trials of {trials}")
    return overheads(lines, started) | {"seconds": seconds}


def overheads(lines: list[dict[str, Any]], started: float) -> dict[str, Any]:
    """Overheads of first trials and of the others, in the order of their ends."""
    last = {line["process"]: line["ended"] for line in lines}
    workers: dict[int, float] = {}
    found: dict[str, Any] = {"first": [], "others": [], "steps": [], "processes": len(last)}
    for line in lines:
        process, ended = line["process"], line["ended"]
        if process in workers:
            before, kind = workers.pop(process), "others"
        elif len(workers) < WORKERS:
            before, kind = started, "first"
        else:
            gone = min((p for p in workers if last[p] == workers[p]), key=lambda p: workers[p])
            before, kind = workers.pop(gone), "others"
        workers[process] = ended
        steps = sum(warm(line[split]) for split in ("train", "validation"))
        found[kind].append(ended - before - steps)
        found["steps"].append(steps)
    return found


def warm(batches: list[float]) -> float:
    """What the batches would have taken, had the first not been traced."""
    return statistics.median(batches[1:]) + sum(batches[1:])


def summary(rounds: dict[str, list[dict[str, Any]]], trials: int) -> dict[str, Any]:
    """The object that is printed."""
    found: dict[str, Any] = {}
    for name, measured in rounds.items():
        others = [seconds for one in measured for seconds in one["others"]]
        found[f"{name}_s"] = round(statistics.median(others), 3)
        found[name] = {
            "quartiles_s": [round(q, 3) for q in statistics.quantiles(others, n=4)],
            "first_trials_s": [round(seconds, 1) for one in measured for seconds in one["first"]],
            "steps_s": round(statistics.median(s for one in measured for s in one["steps"]), 3),
            "wall_s": [round(one["seconds"], 1) for one in measured],
            "processes": [one["processes"] for one in measured],
        }
    found["ours_minus_bare_s"] = round(found["ours_s"] - found["bare_s"], 3)
    found |= {"trials": trials, "rounds": len(rounds["ours"]), "workers": WORKERS, "epochs": EPOCHS}
    return found


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer trials, one round")
    parser.add_argument("--out", type=Path, help="also write the object here")
    arguments = parser.parse_args()
    from fer_ray.data.synthetic import write_synthetic

    trials, rounds = QUICK if arguments.quick else FULL
    before = machine()
    measured: dict[str, list[dict[str, Any]]] = {function.__name__: [] for function in CONTENDERS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_synthetic(folder / "faces", images=IMAGES, seed=1)
        for number in range(rounds):
            for name, results in measured.items():
                results.append(measure(name, folder, folder / f"{name}-{number}", trials))
                median = statistics.median(results[-1]["others"])
                print(f"round {number + 1} of {rounds}: {name} {median:.2f} s per trial", flush=True)
    found = summary(measured, trials) | {"machine": before}
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
