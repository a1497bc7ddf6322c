"""Runs a sweep from its file to its registered winner."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_ray.data import Dataset, open_dataset
from fer_ray.errors import SweepError
from fer_ray.files import write_atomically
from fer_ray.objective import Objective
from fer_ray.progress import Progress, no_progress
from fer_ray.results.leaderboard import leaderboard
from fer_ray.results.tables import read_tables
from fer_ray.search.cluster import connected, slots
from fer_ray.search.folder import Outcome, SweepFolder
from fer_ray.search.memory import SweepMemory, open_storage
from fer_ray.search.remote import run_in_worker
from fer_ray.search.rows import write_sweep_tables
from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import StatusWatcher, SweepStatus, Watch
from fer_ray.search.trainable import TrialWorker, WorkerSetup
from fer_ray.search.winner import register_winner
from fer_ray.spaces import Space
from fer_ray.spaces.samplers import modelled
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialData


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """A sweep's results, finished or not.

    Args:
        spec: The resolved sweep file.
        path: Its folder.
        trials: The trial table, see `fer_ray.results.tables`.
        epochs: The epoch table.
        outcome: How the last run ended; None while it runs, or if it was killed.
    """

    spec: SweepSpec
    path: Path
    trials: pa.Table
    epochs: pa.Table
    outcome: Outcome | None

    @property
    def objective(self) -> Objective:
        """What was optimised."""
        return self.spec.goal

    def leaderboard(self, n: int = 10) -> list[dict[str, Any]]:
        """The best trials, best first."""
        return leaderboard(self.trials, self.objective, n)

    @property
    def best(self) -> dict[str, Any] | None:
        """The best trial, or None."""
        return next(iter(self.leaderboard(1)), None)


def run(spec: SweepSpec, *, watch: Watch | None = None, progress: Progress = no_progress) -> SweepResult:
    """Runs a new sweep: discovers the space, trains, chooses, evaluates, exports and registers the winner.

    Ctrl-C ends it cleanly; `resume` goes on.

    Args:
        spec: The sweep.
        watch: Called twice a second with the status while trials train.
        progress: Told of the stages before and after.

    Raises:
        FerRayError: If the sweep cannot start: its name is taken, its data or space is broken, no trial fits the
            cluster, its storage does not answer. Failing trials raise nothing.
    """
    data = open_dataset(spec.data)
    return _drive(SweepFolder.create(spec), spec, data, watch, progress)


def resume(
    path: str | Path,
    *,
    max_trials: int | None = None,
    time_budget: float | str | None = None,
    concurrency: int | None = None,
    address: str | None = None,
    watch: Watch | None = None,
    progress: Progress = no_progress,
) -> SweepResult:
    """Goes on with a sweep that was interrupted, killed or given more to do.

    Finished trials stay as they are; unfinished ones go on from their checkpoints; rungs are as they were.

    Args:
        path: The sweep's folder.
        max_trials: A new total; it may only grow.
        time_budget: Seconds, or text such as 90m, for this run; as in the sweep file if None.
        concurrency: Trials at a time; as in the sweep file if None.
        address: Of the Ray cluster; as in the sweep file if None.
        watch: As in `run`.
        progress: As in `run`.

    Raises:
        SweepError: If `path` is no sweep, another process runs it, or `max_trials` shrinks.
        ConfigError: If a new value is impossible.
    """
    folder = SweepFolder.open(path)
    spec = folder.spec()
    if max_trials is not None and max_trials < spec.max_trials:
        raise SweepError("max_trials", f"must be at least {spec.max_trials}, as before", str(max_trials))
    asked = {
        "max_trials": max_trials,
        "time_budget": time_budget,
        "concurrency": concurrency,
        "address": address,
    }
    changes = {key: value for key, value in asked.items() if value is not None}
    spec = SweepSpec.parse({**spec.model_dump(mode="json"), **changes}, f"sweep {path}")
    data = open_dataset(spec.data)
    with folder.locked():
        write_atomically(folder.spec_file, spec.to_yaml())
    return _drive(folder, spec, data, watch, progress)


def load_result(path: str | Path) -> SweepResult:
    """The results of a sweep, also of one that is running or was killed.

    Args:
        path: The sweep's folder.

    Raises:
        SweepError: If it is none, or its study cannot be reached.
    """
    folder = SweepFolder.open(path)
    spec = folder.spec()
    if folder.is_running() or not (folder.path / "trials.parquet").exists():
        write_sweep_tables(folder.path, spec, open_storage(spec))
    trials, epochs = read_tables(folder.path)
    return SweepResult(
        spec=spec, path=folder.path, trials=trials, epochs=epochs, outcome=folder.read_outcome()
    )


def list_sweeps(folder: str | Path = "sweeps") -> list[dict[str, Any]]:
    """One row per sweep: name, state, trials, best value, model.

    Args:
        folder: Where sweeps lie.
    """
    rows = []
    for file in sorted(Path(folder).glob("*/sweep.yaml")):
        result = load_result(file.parent)
        best, outcome = result.best, result.outcome
        running = SweepFolder(file.parent).is_running()
        rows.append(
            {
                "name": result.spec.name,
                "state": "running" if running else outcome.ended if outcome else "killed",
                "trials": result.trials.num_rows,
                "objective": result.objective.metric,
                "best": best["value"] if best else None,
                "model": outcome.model if outcome else None,
            }
        )
    return rows


def _drive(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, watch: Watch | None, progress: Progress
) -> SweepResult:
    # Asked first, so that a database that does not answer costs no minute of training.
    storage = open_storage(spec)
    with folder.locked(), connected(spec.address):
        import ray

        capacity = slots(spec.resources)
        train, validation = (data.load(split, progress) for split in ("train", "validation"))
        trial_data = TrialData(train=train, validation=validation, classes=len(data.classes))
        reference = ray.put(trial_data)
        found = _discover(folder, spec, reference, progress)
        memory = SweepMemory(spec, Space.from_config(found["space"]), storage)
        setup = _worker_setup(folder, spec, found, memory.rungs.epochs)
        before = folder.read_outcome()
        watcher = StatusWatcher(memory, spec.concurrency or capacity, watch or _nobody)
        try:
            _tune(folder, spec, memory, watcher, setup, reference)
        finally:
            outcome = _outcome(memory, watcher, before)
            write_sweep_tables(folder.path, spec, storage)
            folder.write_outcome(outcome)
        if memory.ended is not None and spec.model.register_winner:
            model = register_winner(folder, spec, setup, memory, data, reference, progress)
            folder.write_outcome(replace(outcome, model=model))
    return load_result(folder.path)


def _discover(folder: SweepFolder, spec: SweepSpec, reference: Any, progress: Progress) -> dict[str, Any]:
    """What the space holds; found once per sweep and kept."""
    found = folder.read_discovery()
    if found is None:
        found = run_in_worker(
            discover_space,
            _space_file(folder, spec),
            reference,
            spec.goal,
            spec.resources.cpu,
            cpu=spec.resources.cpu,
            stage="discovering the space",
            progress=progress,
        )
        space = Space.from_config(found["space"])
        found["searcher"] = {"kind": spec.searcher.kind, "treats": modelled(spec.searcher.kind, space)}
        write_atomically(folder.discovery_file, json.dumps(found, indent=2))
    return found


def discover_space(
    space_file: SpaceFile, data: TrialData, objective: Objective, cpu: float
) -> dict[str, Any]:
    """Runs in a worker: `discover` with its result as JSON."""
    from fer_ray.training.threads import limit_threads

    limit_threads(max(1, int(cpu)))
    from fer_ray.training.discovery import discover

    return asdict(discover(space_file, data, objective=objective))


def _space_file(folder: SweepFolder, spec: SweepSpec) -> SpaceFile:
    return SpaceFile(
        path=folder.space_file.absolute(),
        object=spec.space.object,
        arguments=spec.space.arguments,
        beside=spec.space.file.parent.absolute(),
    )


def _worker_setup(
    folder: SweepFolder, spec: SweepSpec, found: dict[str, Any], rung_epochs: frozenset[int]
) -> WorkerSetup:
    return WorkerSetup(
        space_file=_space_file(folder, spec),
        space=found["space"],
        objective=spec.goal,
        max_epochs=spec.scheduler.max_epochs,
        precision=spec.precision,
        resumable=found["not_resumable"] is None,
        rung_epochs=rung_epochs,
        threads=max(1, int(spec.resources.cpu)),
        seed=spec.seed,
        sweep=folder.path.absolute(),
    )


def _tune(
    folder: SweepFolder,
    spec: SweepSpec,
    memory: SweepMemory,
    watcher: StatusWatcher,
    setup: WorkerSetup,
    reference: Any,
) -> None:
    with _tune_environment(watcher.concurrency):
        from ray import tune

        from fer_ray.search.scheduler import RungScheduler
        from fer_ray.search.searcher import StudySearcher

        trainable = tune.with_resources(
            tune.with_parameters(TrialWorker, sweep=setup, data=[reference]),
            tune.PlacementGroupFactory([_bundle(spec)]),
        )
        shutil.rmtree(folder.tune, ignore_errors=True)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(memory, watcher.concurrency),
                scheduler=RungScheduler(memory),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial-{trial.config['trial']:05d}",
                trial_dirname_creator=lambda trial: f"trial-{trial.config['trial']:05d}",
            ),
            run_config=tune.RunConfig(
                name=folder.tune.name,
                storage_path=str(folder.path.absolute()),
                callbacks=[watcher],
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=spec.retries),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            with _quiet_tune():
                tuner.fit()
        finally:
            # Study, journal and checkpoints hold all that a resumed sweep needs.
            shutil.rmtree(folder.tune, ignore_errors=True)


@contextmanager
def _quiet_tune() -> Iterator[None]:
    """Keeps Tune from warning of the per-trial files that it was told not to write."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _bundle(spec: SweepSpec) -> dict[str, float]:
    gpu = {"GPU": spec.resources.gpu} if spec.resources.gpu else {}
    return {"CPU": spec.resources.cpu, **gpu}


@contextmanager
def _tune_environment(concurrency: int) -> Iterator[None]:
    """Tune's settings that have no argument."""
    wanted = {
        # A searcher of one's own otherwise gets one pending trial at a time.
        "TUNE_MAX_PENDING_TRIALS_PG": str(concurrency),
        # Five files a trial, copied again and again; the journal has it all.
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        # The output that `verbose=0` silences.
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _outcome(memory: SweepMemory, watcher: StatusWatcher, before: Outcome | None) -> Outcome:
    status = watcher.status()
    return Outcome(
        ended=memory.ended or "interrupted",
        seconds=status.elapsed + (before.seconds if before else 0),
        training_seconds=watcher.training_seconds + (before.training_seconds if before else 0),
        workers=watcher.concurrency,
        utilisation=status.utilisation,
    )


def _nobody(status: SweepStatus) -> None:
    """Watches nothing."""
