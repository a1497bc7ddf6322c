"""The one place that writes to the terminal: tables, progress bars, errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fer_ray.progress import Progress

stdout = Console()
stderr = Console(stderr=True)


def print_json(value: Any) -> None:
    """Prints machine-readable output, plain and unwrapped."""
    print(json.dumps(value, indent=2, default=str, allow_nan=False))


def print_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Prints rows as a table; floats get four digits."""
    # As `Text`: what stands in brackets in a name is no markup.
    table = Table(title=Text(title), title_justify="left")
    names = list(columns or (rows[0] if rows else []))
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    stdout.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar per stage on stderr, with the time left; yields a `Progress`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TextColumn("ETA"), TimeRemainingColumn(), console=stderr) as bars:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress
