"""Runs a sweep from its file to its registered winner."""

import shutil
from dataclasses import replace
from pathlib import Path

from optuna.storages import BaseStorage

from fer_ray.data import Dataset, open_dataset
from fer_ray.errors import FerRayError, SweepError
from fer_ray.progress import Progress, no_progress
from fer_ray.search.cluster import connected
from fer_ray.search.environment import describe_environment
from fer_ray.search.folder import Outcome, SweepFolder, beside
from fer_ray.search.memory import SweepMemory
from fer_ray.search.preparation import prepare
from fer_ray.search.publishing import check_publishing, publish, unpublish
from fer_ray.search.result import SweepResult, load_result
from fer_ray.search.rows import write_sweep_tables
from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import StatusWatcher, SweepStatus, Watch
from fer_ray.search.storage import delete_study, open_storage
from fer_ray.search.trackers import check_trackers
from fer_ray.search.tuning import ended_like_ctrl_c, search_with_tune
from fer_ray.search.unchanged import fixed_part, require_unchanged, space_digests
from fer_ray.search.winner import register_winner


def run(spec: SweepSpec, *, watch: Watch | None = None, progress: Progress = no_progress) -> SweepResult:
    """Runs a new sweep: discovers the space, trains, chooses, evaluates, exports and registers the winner.

    Ctrl-C, SIGTERM and SIGUSR1 end it cleanly; `resume` goes on.

    Args:
        spec: The sweep.
        watch: Called twice a second with the status while trials train.
        progress: Told of the stages before and after.

    Raises:
        FerRayError: If the sweep cannot start: its name is taken, its data or space is broken, no trial fits the
            cluster, its storage does not answer. Failing trials raise nothing.
    """
    data = open_dataset(spec.data)
    check_publishing(spec, new=True)
    folder = SweepFolder(spec.path)
    folder.check_new(spec)
    folder.path.mkdir(parents=True, exist_ok=True)
    # Held from before its first file on: nobody resumes it meanwhile, or loses it to `discard`.
    with folder.locked():
        folder.fill(spec)
        try:
            _drive(folder, folder.spec(), data, watch, progress)
        except FerRayError:
            folder.discard()
            raise
    return load_result(folder.path)


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
    asked = {
        "max_trials": max_trials,
        "time_budget": time_budget,
        "concurrency": concurrency,
        "address": address,
    }
    changes = {key: value for key, value in asked.items() if value is not None}
    spec = SweepSpec.parse({**spec.model_dump(mode="json"), **changes}, f"sweep {path}")
    return _go_on(folder, spec, watch, progress)


def run_or_resume(
    spec: SweepSpec, *, watch: Watch | None = None, progress: Progress = no_progress
) -> SweepResult:
    """Runs a sweep, or goes on with it if it was begun before: however often it is called, it is one sweep.

    Args:
        spec: The sweep; of one that was begun, the parts that make its trials comparable must be as they were.
        watch: As in `run`.
        progress: As in `run`.

    Raises:
        FerRayError: As `run`.
        SweepError: If `spec` is another sweep than the one of that name, or another process runs it.
    """
    folder = SweepFolder(spec.path)
    if not folder.spec_file.exists():
        return run(spec, watch=watch, progress=progress)
    before = folder.spec()
    spec = spec.model_copy(update={"study": before.study})
    imported, file = (folder.read_discovery() or {}).get("imported", []), spec.space.file
    now = {**fixed_part(folder, spec, imported), **space_digests(file, beside(file), imported)}
    require_unchanged(folder, fixed_part(folder, before, imported), now)
    return _go_on(folder, spec, watch, progress)


def delete(path: str | Path, *, published: bool = False) -> None:
    """Deletes a sweep: its folder with checkpoints and tables, and its study, also in a database.

    Models that it has registered stay.

    Args:
        path: The sweep's folder.
        published: Whether the results go too that `publish` has copied elsewhere.

    Raises:
        SweepError: If `path` is no sweep, a process runs it, or its storage does not answer.
    """
    folder = SweepFolder.open(path)
    with folder.locked():
        spec = folder.spec()
        if published:
            unpublish(spec)
        delete_study(spec)
        shutil.rmtree(folder.path)


def _go_on(folder: SweepFolder, spec: SweepSpec, watch: Watch | None, progress: Progress) -> SweepResult:
    data = open_dataset(spec.data)
    check_publishing(spec, new=False)
    with folder.locked():
        before = folder.spec().max_trials
        if spec.max_trials < before:
            raise SweepError("max_trials", f"must be at least {before}, as before", str(spec.max_trials))
        folder.write_spec(spec)
        _drive(folder, spec, data, watch, progress)
    return load_result(folder.path)


def _drive(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, watch: Watch | None, progress: Progress
) -> None:
    """Runs a sweep that this process holds."""
    check_trackers(spec)
    folder.repair()
    # Asked first, so that a database that does not answer costs no minute of training.
    storage = open_storage(spec)
    # In this order, since Ray sets signal handlers of its own when it connects.
    with connected(spec.address, spec.metadata), ended_like_ctrl_c():
        _search(folder, spec, data, storage, watch, progress)
    publish(folder, spec)


def _search(
    folder: SweepFolder,
    spec: SweepSpec,
    data: Dataset,
    storage: BaseStorage,
    watch: Watch | None,
    progress: Progress,
) -> None:
    folder.add_run(describe_environment())
    ready = prepare(folder, spec, data, storage, progress)
    memory, watcher = ready.memory, StatusWatcher(ready.memory, ready.room, watch or _nobody)
    before = folder.read_outcome()
    outcome = before or Outcome(ended="", seconds=0, training_seconds=0, workers=0, utilisation=0)
    folder.write_outcome(replace(outcome, ended="killed"))
    try:
        search_with_tune(folder, spec, memory, watcher, ready.setup, ready.reference)
    finally:
        # A disk that is full or a database that is away would hide its own error behind a second one.
        if memory.broken is None:
            outcome = _outcome(memory, watcher, before)
            folder.write_outcome(outcome)
            write_sweep_tables(folder.path, spec, storage)
    winner = memory.winner()
    if memory.ended is None or winner is None or not spec.model.register_winner:
        return
    if outcome.model is None or outcome.winner != winner.number:
        model = register_winner(folder, spec, ready.setup, memory, winner, data, ready.reference, progress)
        folder.write_outcome(replace(outcome, model=model, winner=winner.number))


def _outcome(memory: SweepMemory, watcher: StatusWatcher, before: Outcome | None) -> Outcome:
    status = watcher.status()
    return Outcome(
        ended=memory.ended or "interrupted",
        seconds=status.elapsed + (before.seconds if before else 0),
        training_seconds=watcher.training_seconds + (before.training_seconds if before else 0),
        workers=watcher.room.trials,
        utilisation=status.utilisation,
        model=before.model if before else None,
        winner=before.winner if before else None,
    )


def _nobody(status: SweepStatus) -> None:
    """Watches nothing."""
