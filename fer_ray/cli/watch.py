"""`fer-ray sweep watch`: a sweep's trials, curves, rungs and workers on the terminal, whoever runs it."""

import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from fer_ray.search import SweepOverview
    from fer_ray.search.overview import TrialView

_BARS = "▁▂▃▄▅▆▇█"
_ORDER = ("running", "paused", "waiting", "finished", "stopped", "failed", "infeasible")


def watch(
    sweep: Annotated[str, typer.Argument(help="The sweep's folder; with --address its name.")],
    address: Annotated[
        str | None, typer.Option(help="Of the cluster that it was submitted to, such as http://HOST:8265.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show it as it is now and end.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="Trials to show.")] = 20,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch a sweep that any process runs, until it ends; Ctrl-C ends the watching only."""
    from rich.live import Live

    from fer_ray.cli.console import stdout
    from fer_ray.search import SweepReader
    from fer_ray.search.overview import watched_folder

    reader = SweepReader(watched_folder(sweep, address))
    overview = reader.read()
    if once or not stdout.is_terminal:
        stdout.print(draw(overview, rows))
        return
    with Live(draw(overview, rows), console=stdout, auto_refresh=False) as live:
        while overview.state in ("starting", "running"):
            time.sleep(every)
            overview = reader.read()
            live.update(draw(overview, rows), refresh=True)


def draw(overview: "SweepOverview", rows: int) -> "Group":
    """The whole view."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(_headline(overview), style="bold"),
        Text(_counts(overview)),
        _trials(overview, rows),
        *([_rungs(overview)] if overview.rungs else []),
        *([_workers(overview)] if overview.workers else []),
    )


def sparkline(values: tuple[float, ...], low: float, high: float) -> str:
    """One bar a value between `low` and `high`; a gap where it is not finite."""
    span = (high - low) or 1.0
    return "".join(
        _BARS[min(int((value - low) / span * len(_BARS)), len(_BARS) - 1)] if math.isfinite(value) else " "
        for value in values
    )


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
    from rich.table import Table

    table = Table(title=f"Trials by {overview.metric}", title_justify="left")
    for name in ("trial", "state", "epochs"):
        table.add_column(name, justify="right")
    table.add_column(f"{overview.metric} by epoch")
    table.add_column("best", justify="right")
    finite = [value for trial in overview.trials for value in trial.values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    shown = _chosen(overview, rows)
    for trial in shown:
        best = "-" if trial.best is None else f"{trial.best:.4f}"
        curve = sparkline(trial.values, low, high)
        table.add_row(str(trial.number), trial.state, str(len(trial.values)), curve, best)
    if len(shown) < len(overview.trials):
        table.caption = f"{len(overview.trials) - len(shown)} more trials are not shown"
    return table


def _chosen(overview: "SweepOverview", rows: int) -> "list[TrialView]":
    """Those that train, then the best of the others."""
    sign = -1 if overview.mode == "max" else 1
    running = [trial for trial in overview.trials if trial.state == "running"]
    others = [trial for trial in overview.trials if trial.state != "running"]
    others.sort(key=lambda trial: (trial.best is None, sign * (trial.best or 0.0), trial.number))
    return [*running, *others][:rows]


def _rungs(overview: "SweepOverview") -> "Table":
    from rich.table import Table

    table = Table(title="Rungs", title_justify="left")
    for name in ("after epoch", "trials that came to it", "went on"):
        table.add_column(name, justify="right")
    for rung in overview.rungs:
        table.add_row(str(rung.epoch), str(rung.reached), str(rung.passed))
    return table


def _workers(overview: "SweepOverview") -> "Table":
    from rich.table import Table

    table = Table(title="Workers", title_justify="left")
    for name in ("worker", "last trial", "epochs", "seconds since its last"):
        table.add_column(name, justify="right")
    for worker in overview.workers:
        table.add_row(worker.name, str(worker.trial), str(worker.epochs), f"{worker.idle:.0f}")
    return table
