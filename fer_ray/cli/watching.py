"""A running sweep on the terminal: bars for its stages, then one live line of its status."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fer_ray.cli.console import stderr
from fer_ray.progress import Progress

if TYPE_CHECKING:
    from fer_ray.search import SweepStatus
    from fer_ray.search.status import Watch

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def watched(name: str) -> Iterator[tuple["Watch", Progress]]:
    """Yields the two functions that a sweep tells its status and its stages.

    On a terminal a table is redrawn; into a file or a pipe go plain lines, every ten seconds.
    """
    view = _LiveView(name) if stderr.is_terminal else _Lines(name)
    with view:
        yield view.watch, view.progress


class _Lines:
    """Plain lines for logs."""

    def __init__(self, name: str) -> None:
        self.name, self._printed, self._stage = name, 0.0, ""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves nothing behind."""

    def watch(self, status: "SweepStatus") -> None:
        if time.monotonic() - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            cells = ", ".join(f"{key} {value}" for key, value in _cells(status).items())
            stderr.print(f"{self.name}: {cells}", highlight=False, soft_wrap=True)

    def progress(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage = stage
            stderr.print(f"{self.name}: {stage}", highlight=False)


class _LiveView(_Lines):
    """A table that is redrawn in place."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.live = Live(console=stderr, refresh_per_second=4, get_renderable=self._render)
        self.status: SweepStatus | None = None
        self.started = time.monotonic()

    def __enter__(self) -> "_LiveView":
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def watch(self, status: "SweepStatus") -> None:
        self.status, self._stage = status, ""

    def progress(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.started = time.monotonic()
        self._stage = stage

    def _render(self) -> Group:
        parts: list[Text | Table] = []
        if self.status is not None:
            parts.append(_table(self.name, self.status))
        if self._stage:
            parts.append(Text(f"{self.name}: {self._stage} ... {time.monotonic() - self.started:.0f} s"))
        return Group(*parts)


def _table(name: str, status: "SweepStatus") -> Table:
    cells = _cells(status)
    table = Table(title=f"Sweep {name}", title_justify="left")
    for heading in cells:
        table.add_column(heading, justify="right")
    table.add_row(*cells.values())
    return table


def _cells(status: "SweepStatus") -> dict[str, str]:
    best = "-" if status.best_value is None else f"{status.best_value:.4f} (trial {status.best_trial})"
    ended = status.paused + status.finished + status.stopped + status.failed
    return {
        "trials": f"{ended}/{status.max_trials}",
        "running": str(status.running),
        **({"waiting for a worker": str(status.waiting)} if status.waiting else {}),
        **({"paused": str(status.paused)} if status.paused else {}),
        "finished": str(status.finished),
        "stopped early": str(status.stopped),
        "failed": str(status.failed),
        "infeasible": str(status.infeasible),
        "epochs": str(status.epochs),
        "best": best,
        "utilisation": f"{status.utilisation:.0%}",
        "elapsed": duration(status.elapsed),
        "ETA": "-" if status.eta is None else duration(status.eta),
    }


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
