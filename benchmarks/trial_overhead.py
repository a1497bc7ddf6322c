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
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

WORKERS, EPOCHS = 2, 3
IMAGES = 2000
#: (trials, rounds) of each contender.
QUICK, FULL = (12, 1), (24, 2)
SPACE = Path(__file__).absolute().parent / "spaces" / "tiny_cnn.py"
PACKAGES = ("fer-ray", "ray", "keras", "tensorflow-cpu", "keras-tuner", "optuna", "tensorboard", "numpy")


def load_data(folder: Path) -> tuple[Any, Any]:
    """Training and validation images and labels."""
    from fer_ray.data import open_dataset

    data = open_dataset(folder / "faces")
    return data.load("train"), data.load("validation")


def hypermodel(log: Path) -> Any:
    """The space, whose clock writes to a folder."""
    from fer_ray.training.space_file import SpaceFile

    return SpaceFile(path=SPACE, arguments={"log": str(log)}).load(7, (48, 48, 1))


def train_one(space: Any, data: tuple[Any, Any], seed: int, callbacks: list[Any]) -> None:
    """Builds and trains the configuration that a seed stands for, with nothing around it."""
    import keras
    import keras_tuner

    keras.utils.clear_session(free_memory=False)
    draws, hp = random.Random(seed), keras_tuner.HyperParameters()
    hp.values = {
        "filters": draws.choice([8, 12, 16]),
        "dropout": draws.uniform(0.1, 0.5),
        "units": draws.choice([32, 64, 96, 128]),
        "learning_rate": 10 ** draws.uniform(-4, -2),
    }
    (images, labels), validation = data
    model = space.build(hp)
    space.fit(hp, model, images, labels, validation_data=validation, epochs=EPOCHS, callbacks=callbacks)


def bare(folder: Path, log: Path, trials: int) -> None:
    start_workers("bare_worker", folder, log, trials // WORKERS)


def bare_worker(folder: Path, log: Path, trials: int) -> None:
    space, data = hypermodel(log), load_data(folder)
    for number in range(trials):
        train_one(space, data, seed=os.getpid() + number, callbacks=[])


def keras_tuner(folder: Path, log: Path, trials: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    oracle = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    os.environ |= {**oracle, "no_proxy": "127.0.0.1", "KERASTUNER_TUNER_ID": "chief"}
    chief = subprocess.Popen(command("keras_tuner_worker", folder, log, trials), stdout=subprocess.DEVNULL)
    try:
        start_workers("keras_tuner_worker", folder, log, trials)
    finally:
        # It would wait up to 20 seconds more, which no trial would feel.
        chief.terminate()
        chief.wait()


def keras_tuner_worker(folder: Path, log: Path, trials: int) -> None:
    import keras_tuner

    tuner = keras_tuner.RandomSearch(
        hypermodel(log),
        objective="val_accuracy",
        max_trials=trials,
        seed=1,
        directory=log / "keras_tuner",
        project_name="overhead",
    )
    (images, labels), validation = load_data(folder)
    tuner.search(images, labels, validation_data=validation, epochs=EPOCHS, verbose=0)


def ray_function(folder: Path, log: Path, trials: int) -> None:
    os.environ |= {
        "TUNE_MAX_PENDING_TRIALS_PG": str(WORKERS),
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    import ray
    from ray import tune

    ray.init("local", num_cpus=WORKERS, log_to_driver=False, logging_level="ERROR")

    def trainable(config: dict[str, Any], data: Any) -> None:
        from fer_ray.training.threads import limit_threads

        limit_threads(1)
        import keras

        class Report(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
                tune.report(logs)

        train_one(hypermodel(log), data, config["seed"], [Report()])

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=load_data(folder)), {"cpu": 1}),
        param_space={"seed": tune.randint(0, 2**31)},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max", num_samples=trials, reuse_actors=True),
        run_config=tune.RunConfig(name="tune", storage_path=str(log), verbose=0),
    )
    errors = tuner.fit().errors
    if errors:
        raise errors[0]


def ours(folder: Path, log: Path, trials: int) -> None:
    from fer_ray.search import SweepSpec, run

    content = {
        "name": "overhead",
        "data": folder / "faces",
        "space": {"file": SPACE, "arguments": {"log": str(log)}},
        "searcher": {"kind": "random"},
        "scheduler": {"kind": "none", "max_epochs": EPOCHS},
        "max_trials": trials,
        "concurrency": WORKERS,
        "folder": log / "sweeps",
        "model": {"register_winner": False},
    }
    run(SweepSpec.parse(content))


CONTENDERS = (bare, keras_tuner, ray_function, ours)
PROGRAMS = {function.__name__: function for function in (*CONTENDERS, bare_worker, keras_tuner_worker)}


def command(program: str, folder: Path, log: Path, trials: int) -> list[str]:
    """This file again, as one of its programs."""
    return [sys.executable, __file__, "--program", program, str(folder), str(log), str(trials)]


def start_workers(program: str, folder: Path, log: Path, trials: int) -> None:
    """Runs a program in a process per worker, to their end."""
    workers = []
    for number in range(WORKERS):
        environment = os.environ | {"KERASTUNER_TUNER_ID": f"tuner{number}"}
        workers.append(subprocess.Popen(command(program, folder, log, trials), env=environment))
    if any([worker.wait() for worker in workers]):
        raise SystemExit(f"a worker of {program} failed")


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
    # A sweep of ours and Keras Tuner's discovery train a handful of images first.
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
    parser.add_argument("--program", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    from fer_ray.training.threads import limit_threads

    limit_threads(1)
    if arguments.program:
        program, folder, log, trials = arguments.program
        PROGRAMS[program](Path(folder), Path(log), int(trials))
        return
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
