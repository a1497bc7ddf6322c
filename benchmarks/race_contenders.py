"""The contenders of time_to_accuracy.py, which says what they are; each searches until it is ended.

python benchmarks/race_contenders.py PROGRAM DATA LOG SEED THREADS

They write nothing down but through the space, see spaces/race.py.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fer_ray.training.threads import limit_threads

REPOSITORY = Path(__file__).resolve().parent.parent
SPACE = REPOSITORY / "benchmarks/spaces/race.py"
CURVES = REPOSITORY / "benchmarks/curves/fer2013_baseline.parquet"
CORES, EPOCHS, ETA = 2, 9, 3
#: More trials than any contender gets to.
MANY = 100_000


def load_data(folder: Path) -> tuple[Any, Any]:
    """Training and validation images and labels."""
    from fer_ray.data import open_dataset

    data = open_dataset(folder)
    return data.load("train"), data.load("validation")


def hypermodel(data: tuple[Any, Any], log: Path | None) -> Any:
    """The space, with its clock."""
    from fer_ray.training.space_file import SpaceFile

    (images, labels), _ = data
    arguments = {"log": str(log)} if log else {}
    return SpaceFile(path=SPACE, arguments=arguments).load(int(labels.max()) + 1, images.shape[1:])


def ours(data: Path, log: Path, seed: int, threads: int) -> None:
    """The sweep as its file says it, with the searcher's and scheduler's defaults."""
    from fer_ray.search import SweepSpec, run

    content = {
        "name": "race",
        "data": data,
        "space": {"file": SPACE, "arguments": {"log": str(log)}},
        "scheduler": {"max_epochs": EPOCHS},
        "max_trials": MANY,
        "resources": {"cpu": threads},
        "seed": seed,
        "folder": log / "sweeps",
        "model": {"register_winner": False},
    }
    run(SweepSpec.parse(content))


def keras_tuner_hyperband(data: Path, log: Path, seed: int, threads: int) -> None:
    """Keras Tuner's Hyperband, one round after another."""
    settings = {"max_epochs": EPOCHS, "factor": ETA, "hyperband_iterations": MANY}
    _keras_tuner("Hyperband", settings, data, log, seed, threads)


def keras_tuner_bayesian(data: Path, log: Path, seed: int, threads: int) -> None:
    """Keras Tuner's Gaussian process; by default its first 81 trials of this space would be random."""
    settings = {"max_trials": MANY, "num_initial_points": 10}
    _keras_tuner("BayesianOptimization", settings, data, log, seed, threads)


def _keras_tuner(
    tuner: str, settings: dict[str, Any], data: Path, log: Path, seed: int, threads: int
) -> None:
    """In one process that has every core, or as chief and workers, as Keras Tuner's guide has it."""
    workers = CORES // threads
    role = os.environ.get("KERASTUNER_TUNER_ID")
    if workers > 1 and role is None:
        _chief_and_workers(workers)
        return
    import keras_tuner

    loaded = load_data(data)
    search = getattr(keras_tuner, tuner)(
        hypermodel(loaded, log),
        objective="val_accuracy",
        seed=seed + 1,  # It takes 0 for none.
        directory=log / "keras_tuner",
        project_name="race",
        **settings,
    )
    (images, labels), validation = loaded
    search.search(images, labels, validation_data=validation, epochs=EPOCHS, verbose=0)


def _chief_and_workers(workers: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    oracle = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port, "no_proxy": "127.0.0.1"}
    roles = ["chief", *(f"tuner{number}" for number in range(workers))]
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env={**os.environ, **oracle, "KERASTUNER_TUNER_ID": role}
        )
        for role in roles
    ]
    while all(process.poll() is None for process in processes):
        time.sleep(1)
    raise SystemExit(f"a process of Keras Tuner ended: {[process.poll() for process in processes]}")


class OptunaSpace:
    """The space as Ray Tune's OptunaSearch takes one: a function of Optuna's trial.

    A user writes it down by hand; here it comes from a file, so that finding it costs the contender no time.
    """

    def __init__(self) -> None:
        from fer_ray.search.curves import read_curves

        self.space = read_curves(CURVES, "val_accuracy").space

    def __call__(self, trial: Any) -> dict[str, Any]:
        from fer_ray.spaces.optuna_bridge import suggest

        return {"values": suggest(self.space, trial)}

    def default(self) -> dict[str, Any]:
        """The space's default, as Optuna's parameters."""
        from fer_ray.spaces.optuna_bridge import params_of

        return params_of(self.space, self.space.complete({}))[0]


def ray_tune(data: Path, log: Path, seed: int, threads: int) -> None:
    """Ray Tune's ASHA over OptunaSearch, with fer_ray's choices where these are better than its own.

    That is the space's default as the first trial, and TPE that models each hyperparameter by itself.
    """
    import optuna
    from ray.tune.schedulers import ASHAScheduler

    scheduler = ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=ETA)
    _ray(
        optuna.samplers.TPESampler(multivariate=False, constant_liar=True, seed=seed),
        scheduler,
        True,
        data,
        log,
        threads,
    )


def random_search(data: Path, log: Path, seed: int, threads: int) -> None:
    """Random configurations, each to its end, on Ray Tune."""
    import optuna
    from ray.tune.schedulers import FIFOScheduler

    _ray(optuna.samplers.RandomSampler(seed=seed), FIFOScheduler(), False, data, log, threads)


def _ray(sampler: Any, scheduler: Any, default_first: bool, data: Path, log: Path, threads: int) -> None:
    os.environ |= {
        "TUNE_MAX_PENDING_TRIALS_PG": str(CORES // threads),
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
        # With the usual 2 s, a stopped trial that takes longer to unwind costs Tune its worker and the next trial.
        "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    ray.init("local", num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    space = OptunaSpace()

    def trainable(config: dict[str, Any], data: Any) -> None:
        limit_threads(threads)
        import keras
        import keras_tuner

        class Report(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
                tune.report({"val_accuracy": logs["val_accuracy"]})

        keras.utils.clear_session(free_memory=False)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(config["values"])
        built = hypermodel(data, log)
        (images, labels), validation = data
        built.fit(
            hp,
            built.build(hp),
            images,
            labels,
            validation_data=validation,
            epochs=EPOCHS,
            callbacks=[Report()],
        )

    search = OptunaSearch(
        space,
        metric="val_accuracy",
        mode="max",
        sampler=sampler,
        points_to_evaluate=[space.default()] if default_first else None,
    )
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=load_data(data)), {"cpu": threads}),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            search_alg=search,
            scheduler=scheduler,
            num_samples=MANY,
            max_concurrent_trials=CORES // threads,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(log), verbose=0),
    )
    errors = tuner.fit().errors
    if errors:
        raise errors[0]


PROGRAMS = {
    function.__name__: function
    for function in (ours, ray_tune, keras_tuner_hyperband, keras_tuner_bayesian, random_search)
}


if __name__ == "__main__":
    program, *folders, seed, threads = sys.argv[1:]
    limit_threads(int(threads))
    PROGRAMS[program](*map(Path, folders), int(seed), int(threads))
