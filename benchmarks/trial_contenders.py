"""The four contenders of trial_overhead.py, which says what they are; each is a program that trains and ends.

python benchmarks/trial_contenders.py PROGRAM FOLDER LOG TRIALS
"""

import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from fer_ray.training.threads import limit_threads

WORKERS, EPOCHS = 2, 3
SPACE = Path(__file__).absolute().parent / "spaces" / "tiny_cnn.py"


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
    """What runs a program of this file in a fresh process."""
    return [sys.executable, __file__, program, str(folder), str(log), str(trials)]


def start_workers(program: str, folder: Path, log: Path, trials: int) -> None:
    """Runs a program in a process per worker, to their end."""
    workers = []
    for number in range(WORKERS):
        environment = os.environ | {"KERASTUNER_TUNER_ID": f"tuner{number}"}
        workers.append(subprocess.Popen(command(program, folder, log, trials), env=environment))
    if any([worker.wait() for worker in workers]):
        raise SystemExit(f"a worker of {program} failed")


if __name__ == "__main__":
    limit_threads(1)
    name, *folders, number = sys.argv[1:]
    PROGRAMS[name](*map(Path, folders), int(number))
