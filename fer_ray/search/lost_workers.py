"""What the end of a worker means for the trial that it had."""

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError

from fer_ray.errors import SpaceError, StorageError
from fer_ray.search.folder import hang_report
from fer_ray.search.memory import SweepMemory
from fer_ray.search.study import FailureKind
from fer_ray.search.trainable import WorkerFullError


def take_back(memory: SweepMemory, trial: Any) -> None:
    """Tells the memory of a trial whose worker is gone.

    Args:
        memory: The sweep's.
        trial: Tune's; it has kept the error.

    Raises:
        StorageError, SpaceError: If that is what ended the worker's trial, which can be resumed with the sweep.
    """
    number, error = trial.config["trial"], _error(trial)
    # Ray's error is of both kinds, its own and ours; only ours can be raised again.
    for kind in (StorageError, SpaceError):
        if isinstance(error, kind):
            raise kind(error.where, error.rule, error.received, error.remedy)
    # Still pending, it was to be given to a worker that had died after its former trial.
    never_there = trial.status == trial.PENDING
    preempted = isinstance(error, ActorDiedError) and error.preempted
    text = " ".join(str(error or _text(trial)).split())
    if never_there or preempted or isinstance(error, WorkerFullError):
        memory.go_on_later(number)
    elif (report := _new_hang_report(memory.spec.path, number)) is not None:
        reason = f"an epoch took longer than {memory.spec.limits.epoch:g} s; where it hung: {report}"
        memory.lost(number, reason, FailureKind.HUNG)
    elif is_gone_with_its_node(error):
        memory.lost_node(number, f"its node was lost: {text[:300]}")
    else:
        memory.lost(number, f"its worker failed or died: {text[:300]}", kind_of(text))


def kind_of(text: str) -> FailureKind:
    """Whether Ray's monitor ended a worker for lack of memory, by what Ray says.

    "OOM" alone tells nothing: Ray names the kernel's OOM killer as a possible cause of every sudden death.
    """
    low = "running low on memory" in text or OutOfMemoryError.__name__ in text
    return FailureKind.MEMORY if low else FailureKind.WORKER


def is_gone_with_its_node(error: Exception | None) -> bool:
    """Whether Ray says that a worker's node died, or that nothing answers there any more.

    Of a worker that dies alone its node tells at once. Where nobody does, the node is down or cut off, and Ray will
    know in up to a minute.
    """
    died = isinstance(error, ActorDiedError) and "its node has died" in str(error)
    return died or isinstance(error, ActorUnavailableError)


def _error(trial: Any) -> Exception | None:
    """What Tune has just kept; its own getter looks where it will be copied to later."""
    kept = trial.run_metadata.pickled_error_filename
    if kept is None:
        return None
    error: Exception = cloudpickle.loads(Path(trial.local_path, kept).read_bytes())
    return error


def _text(trial: Any) -> str:
    """The error as text, of a kind that Tune does not keep otherwise."""
    file = trial.error_file
    return Path(file).read_text() if file and Path(file).exists() else "Ray's logs say why"


def _new_hang_report(sweep: Path, number: int) -> Path | None:
    """Where the worker's stacks lie, put aside so that the trial's next worker has a file of its own."""
    report = hang_report(sweep, number)
    if not report.exists() or not report.stat().st_size:
        return None
    before = len(list(report.parent.glob(f"{report.stem}-*{report.suffix}")))
    return report.rename(report.with_stem(f"{report.stem}-{before + 1}"))
