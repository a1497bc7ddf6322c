"""`fer-ray sweep watch`: a sweep's trials, curves, rungs and workers on the terminal, whoever runs it."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.measure import Measurement
    from rich.table import Table

    from fer_ray.search import SweepOverview
    from fer_ray.search.overview import TrialView

_BARS = "▁▂▃▄▅▆▇█"
_ORDER = (
    "running",
    "paused",
    "waiting",
    "finished",
    "stopped",
    "failed",
    "infeasible",
    "duplicate",
    "cut short",
)


def watch(
    sweep: Annotated[str, typer.Argument(help="The sweep's folder; with --address its name.")],
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the cluster that it was submitted to, such as http://HOST:8265; its folder must be seen here."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show it as it is now and end.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="Trials to show, if the terminal has room.")] = 20,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch a sweep that any process runs, until it ends; Ctrl-C ends the watching only.

    Into a file or a pipe it is shown once, as with --once.
    """
    from rich.live import Live

    from fer_ray.cli.console import stdout
    from fer_ray.search import SweepReader
    from fer_ray.search.overview import watched_folder

    if once or not stdout.is_terminal:
        stdout.print(draw(SweepReader(watched_folder(sweep, address)).read(), rows))
        return
    path = Path(sweep) if address is None else _begun(sweep, address, every)
    reader = SweepReader(path)
    overview = reader.read()
    with Live(fitted(overview, rows, stdout), console=stdout, auto_refresh=False) as live:
        while overview.state in ("starting", "running"):
            time.sleep(every)
            overview = reader.read()
            live.update(fitted(overview, rows, stdout), refresh=True)


def _begun(sweep: str, address: str, every: float) -> Path:
    """The folder of a submitted sweep, once its driver runs it or its job is over."""
    from fer_ray.cli.console import stdout
    from fer_ray.search.folder import SweepFolder
    from fer_ray.search.overview import watched_folder
    from fer_ray.search.submission import find_job

    told = ""
    while not (job := find_job(sweep, address)).is_over:
        folder = SweepFolder(Path(job.folder))
        if folder.spec_file.is_file() and folder.is_running():
            break
        line = f"{job.id}: {job.state}. Waiting for its driver to begin in {job.folder}, which must be seen here."
        if line != told:
            stdout.print(line, highlight=False, markup=False, soft_wrap=True)
        told = line
        time.sleep(every)
    return watched_folder(sweep, address)


def draw(overview: "SweepOverview", rows: int, workers: int | None = None) -> "Group":
    """The whole view.

    Args:
        overview: To show.
        rows: Trials at most.
        workers: At most; all if None.
    """
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(_headline(overview), style="bold"),
        Text(_counts(overview)),
        *([_rungs(overview)] if overview.rungs else []),
        *([_workers(overview, workers)] if overview.workers else []),
        _trials(overview, rows),
    )


def fitted(overview: "SweepOverview", rows: int, console: "Console") -> "Group":
    """The view with as many trials as the terminal has room for: `rich` would cut off its end."""
    workers = max(console.height // 4, 1)
    least = len(console.render_lines(draw(overview, 1, workers)))
    return draw(overview, min(rows, max(1 + console.height - least, 1)), workers)


def sparkline(values: tuple[float, ...], low: float, high: float) -> str:
    """One bar a value between `low` and `high`; a gap where it is not finite."""
    span = (high - low) or 1.0
    return "".join(
        _BARS[min(int((value - low) / span * len(_BARS)), len(_BARS) - 1)] if math.isfinite(value) else " "
        for value in values
    )


class Curve:
    """A line that loses its beginning, not its end, where it is too long.

    Args:
        bars: One an epoch.
    """

    def __init__(self, bars: str) -> None:
        self.bars = bars

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        yield Text(self.bars[-options.max_width :], no_wrap=True)

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        return Measurement(1, max(len(self.bars), 1))


def _headline(overview: "SweepOverview") -> str:
    from fer_ray.cli.watching import duration

    eta = "" if overview.eta is None else f", about {duration(overview.eta)} to go"
    return f"Sweep {overview.name}: {overview.state}, {duration(overview.elapsed)} since its first epoch{eta}"


def _counts(overview: "SweepOverview") -> str:
    counts = overview.counts
    ended = counts["finished"] + counts["stopped"] + counts["failed"]
    parts = [f"{counts[state]} {state}" for state in _ORDER if counts[state]]
    trials = f"{ended} of {overview.max_trials} trials ended; {', '.join(parts) or 'none yet'}"
    return f"{trials}; {overview.epochs} epochs"


def _trials(overview: "SweepOverview", rows: int) -> "Table":
    table = _table(f"Trials by {overview.metric}", "trial", "state", "epochs", "best")
    table.add_column(f"{overview.metric} of the last epochs")
    finite = [value for trial in overview.trials for value in trial.values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    shown = _chosen(overview, rows)
    for trial in shown:
        best = "-" if trial.best is None else f"{trial.best:.4f}"
        curve = Curve(sparkline(trial.values, low, high))
        table.add_row(str(trial.number), trial.state, str(len(trial.values)), best, curve)
    return _cut(table, len(overview.trials) - len(shown), "trials")


def _chosen(overview: "SweepOverview", rows: int) -> "list[TrialView]":
    """Those that train, then the best of the others."""
    sign = -1 if overview.mode == "max" else 1
    running = [trial for trial in overview.trials if trial.state == "running"]
    others = [trial for trial in overview.trials if trial.state != "running"]
    others.sort(key=lambda trial: (trial.best is None, sign * (trial.best or 0.0), trial.number))
    return [*running, *others][:rows]


def _rungs(overview: "SweepOverview") -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("Rungs after epoch", *(str(rung.epoch) for rung in overview.rungs), style="bold")
    table.add_row("trials that came", *(str(rung.reached) for rung in overview.rungs))
    table.add_row("that went on", *(str(rung.passed) for rung in overview.rungs))
    return table


def _workers(overview: "SweepOverview", most: int | None) -> "Table":
    table = _table("Workers", "worker", "trial", "epochs", "seconds since its last")
    shown = overview.workers[:most]
    for worker in shown:
        table.add_row(worker.name or "new", str(worker.trial), str(worker.epochs), f"{worker.idle:.0f}")
    return _cut(table, len(overview.workers) - len(shown), "workers")


def _table(title: str, *numbers: str) -> "Table":
    """With few lines of its own, and columns that are never narrowed."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cut(table: "Table", left_out: int, what: str) -> "Table":
    if left_out:
        table.caption = f"{left_out} more {what} are not shown"
    return table
