"""Runs a sweep from its file to its registered winner."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from fer_ray.data import Dataset, open_dataset
from fer_ray.errors import FerRayError, SweepError
from fer_ray.files import write_atomically
from fer_ray.objective import Objective
from fer_ray.progress import Progress, no_progress
from fer_ray.search.cluster import connected, slots
from fer_ray.search.folder import Outcome, SweepFolder, stage_hang_report
from fer_ray.search.memory import SweepMemory
from fer_ray.search.remote import run_in_worker
from fer_ray.search.result import SweepResult, load_result
from fer_ray.search.rows import write_sweep_tables
from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import StatusWatcher, SweepStatus, Watch
from fer_ray.search.storage import open_storage
from fer_ray.search.time_limit import StageLimit
from fer_ray.search.trainable import WorkerSetup
from fer_ray.search.tuning import search_with_tune
from fer_ray.search.warm_start import earlier_trials
from fer_ray.search.winner import register_winner
from fer_ray.spaces import Space
from fer_ray.spaces.samplers import modelled
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialData


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
    folder = SweepFolder.create(spec)
    try:
        return _drive(folder, folder.spec(), data, watch, progress)
    except FerRayError:
        folder.discard()
        raise


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
        time_budget: Seconds, or text such as 90m, from now; as in the sweep file if None.
        concurrency: Trials at a time; as in the sweep file if None.
        address: Of the Ray cluster; as in the sweep file if None. What is given here is kept there.
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


def _drive(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, watch: Watch | None, progress: Progress
) -> SweepResult:
    with folder.locked():
        folder.repair()
        # Asked first, so that a database that does not answer costs no minute of training.
        storage = open_storage(spec)
        with connected(spec.address):
            _search(folder, spec, data, storage, watch, progress)
    return load_result(folder.path)


def _search(
    folder: SweepFolder,
    spec: SweepSpec,
    data: Dataset,
    storage: BaseStorage,
    watch: Watch | None,
    progress: Progress,
) -> None:
    import ray

    capacity = slots(spec.resources)
    train, validation = (data.load(split, progress) for split in ("train", "validation"))
    reference = ray.put(TrialData(train=train, validation=validation, classes=len(data.classes)))
    found = _discover(folder, spec, data, reference, progress)
    _require_resumable(spec, found)
    space = Space.from_config(found["space"])
    memory = SweepMemory(spec, space, storage, earlier=earlier_trials(spec, space, data.fingerprint))
    setup = _worker_setup(folder, spec, found, memory.rungs.epochs)
    watcher = StatusWatcher(memory, min(spec.concurrency or capacity, capacity), watch or _nobody)
    before = folder.read_outcome()
    outcome = before or Outcome(ended="", seconds=0, training_seconds=0, workers=0, utilisation=0)
    folder.write_outcome(replace(outcome, ended="killed"))
    try:
        search_with_tune(folder, spec, memory, watcher, setup, reference)
    finally:
        outcome = _outcome(memory, watcher, before)
        folder.write_outcome(outcome)
        write_sweep_tables(folder.path, spec, storage)
    winner = memory.winner()
    if memory.ended is None or winner is None or not spec.model.register_winner:
        return
    if outcome.model is None or outcome.winner != winner.number:
        model = register_winner(folder, spec, setup, memory, winner, data, reference, progress)
        folder.write_outcome(replace(outcome, model=model, winner=winner.number))


def _discover(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, reference: Any, progress: Progress
) -> dict[str, Any]:
    """What the space holds; found once per sweep and kept."""
    found = folder.read_discovery()
    if found is None:
        space_file = _space_file(folder, spec)
        limit = StageLimit(
            key="limits.discovery",
            what="building and fitting one configuration",
            seconds=spec.limits.discovery,
            report=stage_hang_report(folder.path.absolute(), "discovery"),
            space_file=space_file.path,
        )
        found = run_in_worker(
            discover_space,
            limit,
            space_file,
            reference,
            spec.goal,
            spec.resources.cpu,
            cpu=spec.resources.cpu,
            stage="discovering the space",
            progress=progress,
        )
        space = Space.from_config(found["space"])
        found["searcher"] = {"kind": spec.searcher.kind, "treats": modelled(spec.searcher.kind, space)}
        found["data"] = data.fingerprint
        write_atomically(folder.discovery_file, json.dumps(found, indent=2))
    return found


def _require_resumable(spec: SweepSpec, found: dict[str, Any]) -> None:
    if found["not_resumable"] is not None and spec.scheduler.variant == "promotion":
        rule = "promotion needs a `fit` that goes on at `initial_epoch`"
        raise SweepError("scheduler.variant", rule, found["not_resumable"], "Take the variant `stopping`")


def discover_space(
    limit: StageLimit, space_file: SpaceFile, data: TrialData, objective: Objective, cpu: float
) -> dict[str, Any]:
    """Runs in a worker: `discover` with its result as JSON, each configuration within the limit."""
    from fer_ray.training.threads import limit_threads

    limit_threads(max(1, int(cpu)))
    with limit.watch() as begin:
        from fer_ray.training.discovery import discover

        found = discover(space_file, data, objective=objective, progress=lambda *_: begin())
    return asdict(found)


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
        epoch_limit=spec.limits.epoch,
        worker_mb=spec.limits.worker_mb,
    )


def _outcome(memory: SweepMemory, watcher: StatusWatcher, before: Outcome | None) -> Outcome:
    status = watcher.status()
    return Outcome(
        ended=memory.ended or "interrupted",
        seconds=status.elapsed + (before.seconds if before else 0),
        training_seconds=watcher.training_seconds + (before.training_seconds if before else 0),
        workers=watcher.concurrency,
        utilisation=status.utilisation,
        model=before.model if before else None,
        winner=before.winner if before else None,
    )


def _nobody(status: SweepStatus) -> None:
    """Watches nothing."""
