"""What a sweep's driver alone knows while it runs, in a file of its folder for those who watch from elsewhere."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_ray.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class Work:
    """A trial that has a worker.

    Args:
        trial: Its number.
        worker: Host and process; None until the worker has ended its first epoch.
        since: Seconds since 1970 when the worker took it up.
    """

    trial: int
    worker: str | None
    since: float


@dataclass(frozen=True, kw_only=True)
class Live:
    """A moment of a running sweep.

    Args:
        eta: Seconds to go; None before that can be told.
        work: The trials that train now.
    """

    eta: float | None = None
    work: tuple[Work, ...] = ()


def live_path(sweep: Path) -> Path:
    """Where a sweep's driver keeps it; gone once no trial trains."""
    return sweep / "live.json"


def write_live(sweep: Path, live: Live) -> None:
    """Keeps a moment; none is worth ending a sweep for."""
    with suppress(OSError):
        write_atomically(live_path(sweep), json.dumps(asdict(live)))


def read_live(sweep: Path) -> Live:
    """The last moment; an empty one before the first trial."""
    try:
        found = json.loads(live_path(sweep).read_text())
    except FileNotFoundError:
        return Live()
    return Live(eta=found["eta"], work=tuple(Work(**work) for work in found["work"]))
