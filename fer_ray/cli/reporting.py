"""`fer-ray sweep report` and `compare`: what people read of sweeps."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fer_ray.search.report import ComparedSweep, Comparison


def report(
    folder: Annotated[Path, typer.Argument(help="The sweep's folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Write to this folder; `report` in the sweep's if absent.")
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Write each figure as PNG too; needs Chromium or Chrome.")
    ] = False,
) -> None:
    """Write one self-contained HTML page of a sweep, finished or not."""
    from fer_ray.cli.console import progress_bar, stderr, stdout
    from fer_ray.search.report import make_report

    with progress_bar() as progress:
        made = make_report(folder, out, images=png, progress=progress)
    for title, problem in made.missing.items():
        stderr.print(f"Not drawn: {title}. {problem}", highlight=False, markup=False, soft_wrap=True)
    size = made.page.stat().st_size / 1e6
    stdout.print(f"Wrote {made.page} ({size:.1f} MB)", highlight=False, markup=False, soft_wrap=True)
    if made.images:
        stdout.print(
            f"Wrote {len(made.images)} figures to {made.images[0].parent}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if made.reproduction:
        stdout.print(
            f"Train the best again: fer-ray sweep run {shlex.quote(str(made.reproduction))}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Two or more folders of sweeps.")],
    html: Annotated[Path | None, typer.Option(help="Write a page to this file too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare sweeps: what they found, what they cost, whether their winners really differ."""
    from fer_ray.cli.console import print_json, stderr
    from fer_ray.search.report import compare as compare_sweeps

    found = compare_sweeps(folders, html)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if html is not None:
        stderr.print(f"Wrote {html}", highlight=False, markup=False, soft_wrap=True)


def _print(found: "Comparison") -> None:
    from fer_ray.cli.console import print_table, stdout
    from fer_ray.results.report.clock import duration
    from fer_ray.search.report import interval_text

    # A column for each sweep: two or three fit a terminal, their measures side by side would not.
    rows: dict[str, Callable[[ComparedSweep], object]] = {
        f"best {found.objective}": lambda sweep: sweep.value,
        "test accuracy": lambda sweep: interval_text(sweep),
        "trials": lambda sweep: sweep.trials,
        "epochs": lambda sweep: sweep.epochs,
        "searching": lambda sweep: duration(sweep.wall_seconds),
        "training": lambda sweep: duration(sweep.training_seconds),
        "time to target": lambda sweep: (
            None if sweep.seconds_to_target is None else duration(sweep.seconds_to_target)
        ),
        "epochs to target": lambda sweep: sweep.epochs_to_target,
        "ended by": lambda sweep: sweep.state,
    }
    table = [{"": name, **{sweep.name: of(sweep) for sweep in found.sweeps}} for name, of in rows.items()]
    print_table("Sweeps side by side, intervals of 95%", table)
    lines = [f"Not comparable. {problem}" for problem in found.not_comparable]
    if found.target is not None:
        lines.append(f"The target is the worst of the best values, {found.target:.4f}.")
    lines += [each.sentence for each in found.differences]
    for line in lines:
        stdout.print(line, highlight=False, markup=False)
