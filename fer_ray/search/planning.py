"""What a sweep will cost, told before it runs."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from fer_ray.data import open_dataset
from fer_ray.progress import Progress, no_progress
from fer_ray.search.cluster import connected
from fer_ray.search.folder import SweepFolder
from fer_ray.search.forecast import Bounds, Level, forecast
from fer_ray.search.preparation import prepare
from fer_ray.search.probe import Probe, probe
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import check_storage
from fer_ray.search.trackers import check_trackers

_PREFIX = ".plan-"
_SECONDS_TO_LOCK = 60


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a sweep will do, expected and at most.

    Not in it: evaluating and exporting the winner, and epochs that lost workers have to train again.

    Args:
        name: Of the sweep.
        hyperparameters: Of the space.
        configurations: Distinct ones in it; None if infinite.
        workers: Trials at a time.
        levels: How many trials come to each rung, by bracket.
        trials, epochs: Trained.
        seconds: Of searching; None without a probe.
        preparing: Seconds that loading the data and discovering the space took, as they will again.
        checkpoints_mb: On disk at most, at the size of the largest probed, in megabytes; None without a probe.
        ended: What ends it, as expected and at most.
        probe: What was measured.
        notes: Sentences about what else is to be known.
    """

    name: str
    hyperparameters: int
    configurations: int | None
    workers: int
    levels: tuple[Level, ...]
    trials: Bounds
    epochs: Bounds
    seconds: Bounds | None
    preparing: float
    checkpoints_mb: float | None
    ended: tuple[str, str]
    probe: Probe | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def plan(spec: SweepSpec, *, with_probe: bool = True, progress: Progress = no_progress) -> SweepPlan:
    """Tells what a sweep will cost; leaves nothing behind.

    The counts come from the sweep's own rungs, searcher and budgets under a virtual clock, the times from a few
    configurations trained on parts of the data, for about a minute.

    Args:
        spec: The sweep.
        with_probe: Whether times are measured.
        progress: Told of the stages.

    Raises:
        FerRayError: As `run`, if the sweep could not start.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = open_dataset(spec.data)
    SweepFolder(spec.path).check_new(spec)
    check_storage(spec)
    check_trackers(spec)
    with _temporary(spec) as folder, connected(spec.address):
        started = time.monotonic()
        nowhere = spec.model_copy(update={"folder": folder.path.parent, "name": folder.path.name})
        ready = prepare(folder, nowhere, data, optuna.storages.InMemoryStorage(), progress)
        preparing = time.monotonic() - started
        measured = probe(spec, ready, progress) if with_probe else None
    configurations, starting = (measured.configurations, measured.starting) if measured else ((), 0.0)
    foreseen = forecast(spec, ready.space, ready.workers, configurations, starting)
    return SweepPlan(
        name=spec.name,
        hyperparameters=len(ready.space.hyperparameters),
        configurations=ready.space.size,
        workers=ready.workers,
        preparing=preparing,
        checkpoints_mb=_checkpoints_mb(spec, ready.workers, measured),
        probe=measured,
        notes=tuple(_notes(spec, ready.infeasible, measured)),
        **vars(foreseen),
    )


@contextmanager
def _temporary(spec: SweepSpec) -> Iterator[SweepFolder]:
    """A folder with the space file where sweeps lie, since every worker sees that, for the time being."""
    _remove_abandoned(spec)
    folder = SweepFolder(spec.folder / f"{_PREFIX}{uuid.uuid4().hex[:8]}")
    made = [path for path in (folder.path, *folder.path.parents) if not path.exists()]
    try:
        folder.path.mkdir(parents=True)
        with folder.locked():
            shutil.copyfile(spec.space.file, folder.space_file)
            yield folder
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
        for path in made[1:]:
            with suppress(OSError):
                path.rmdir()


def _remove_abandoned(spec: SweepSpec) -> None:
    """Removes what plans left behind that were killed; one that was made just now may not hold its lock yet."""
    for path in spec.folder.glob(f"{_PREFIX}*"):
        if time.time() - path.stat().st_mtime > _SECONDS_TO_LOCK and not SweepFolder(path).is_running():
            shutil.rmtree(path, ignore_errors=True)


def _checkpoints_mb(spec: SweepSpec, workers: int, measured: Probe | None) -> float | None:
    """Each trial that runs or is paused has one, and the best of those that have ended."""
    if measured is None or not measured.paces:
        return None
    open_trials = (
        spec.max_trials if spec.scheduler.variant == "promotion" else min(workers + 1, spec.max_trials)
    )
    return open_trials * max(pace.checkpoint_mb for pace in measured.paces)


def _notes(spec: SweepSpec, infeasible: list[str], measured: Probe | None) -> Iterator[str]:
    for reason in infeasible:
        yield f"Some configurations are infeasible: {reason}"
    for key in ("target", "plateau"):
        if getattr(spec, key) is not None:
            yield f"The {key} may end it earlier; that is not foreseen."
    if spec.measures_latency:
        yield "Measuring each model's latency is not in the times."
    if measured is None:
        if spec.time_budget is not None:
            yield f"The time budget of {spec.time_budget:g} s may end it earlier; that needs the probe."
        return
    known = 1 if spec.searcher.known is None else len(spec.searcher.known)
    for one in measured.configurations:
        if one.failed is not None:
            kind = "known configuration" if one.trial < known else "configuration"
            yield f"The {kind} of trial {one.trial} fails: {one.failed}"
    slowest = max((max(pace.first_epoch, pace.last_epoch) for pace in measured.paces), default=0.0)
    if spec.limits.epoch is not None and slowest > spec.limits.epoch:
        yield f"An epoch may take {slowest:.0f} s, longer than limits.epoch, {spec.limits.epoch:g} s."
