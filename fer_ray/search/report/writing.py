"""Writes what people read: the report of a sweep, its figures as PNG, the page of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_ray.errors import SweepError
from fer_ray.files import write_atomically
from fer_ray.progress import Progress, no_progress
from fer_ray.results.report.figure import Figure, printed_figures
from fer_ray.results.report.page import render_page
from fer_ray.search.folder import SweepFolder
from fer_ray.search.report.comparison import Comparison, compare_facts, read_all
from fer_ray.search.report.comparison_page import comparison_page
from fer_ray.search.report.facts import read_facts
from fer_ray.search.report.page import sweep_page
from fer_ray.search.report.reproduction import reproduction

PAGE, REPRODUCTION, IMAGES = "report.html", "reproduce.yaml", "figures"


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What was written.

    Args:
        page: The HTML file.
        reproduction: A sweep file that trains the best trial again; None if no trial has a result.
        images: A PNG of each figure, if they were asked for.
        missing: Titles of the figures that could not be drawn, with the reasons.
    """

    page: Path
    reproduction: Path | None
    images: tuple[Path, ...]
    missing: dict[str, str]


def make_report(
    path: str | Path, out: str | Path | None = None, *, images: bool = False, progress: Progress = no_progress
) -> SweepReport:
    """Writes ``report.html``, which needs no other file and no network, and ``reproduce.yaml`` beside it.

    Args:
        path: The sweep's folder; one that runs or was killed is reported as far as it is.
        out: The folder to write to; ``report`` in the sweep's if None.
        images: Whether to write each figure as PNG below ``figures`` too, which needs Chromium or Chrome.
        progress: Told of the stages.

    Raises:
        SweepError: If `path` is no sweep, `out` cannot be written, or its tables lack epochs and its study
            cannot be reached.
        ConfigError: If images are asked for and there is no browser.
    """
    folder = SweepFolder.open(path)
    out = folder.path / "report" if out is None else Path(out)
    progress("reading the sweep", 0, 1)
    facts = read_facts(folder)
    progress("reading the sweep", 1, 1)
    progress("drawing figures", 0, 1)
    best, again = facts.result.best, None
    if best is not None:
        again = reproduction(facts.result, best["trial"])
        head = f"# Trains trial {best['trial']} of the sweep {facts.result.spec.name} again.\n"
        _write(out / REPRODUCTION, head + again.to_yaml())
    page = sweep_page(facts, again, out / REPRODUCTION)
    _write(out / PAGE, render_page(page))
    progress("drawing figures", 1, 1)
    return SweepReport(
        page=out / PAGE,
        reproduction=out / REPRODUCTION if again else None,
        images=_write_images(page.figures, out / IMAGES, progress) if images else (),
        missing={each.title: each.problem for each in page.figures if each.plot is None},
    )


def compare(paths: Sequence[str | Path], html: str | Path | None = None) -> Comparison:
    """Compares sweeps, finished or not.

    Args:
        paths: Their folders, at least two.
        html: Where to write a page, if anywhere.

    Raises:
        ConfigError: If there are fewer than two, or one is named twice.
        SweepError: If one is no sweep, its study cannot be reached, or the page cannot be written.
    """
    all_facts = read_all(paths)
    found = compare_facts(all_facts)
    if html is not None:
        _write(Path(html), render_page(comparison_page(found, all_facts)))
    return found


def _write_images(figures: Sequence[Figure], folder: Path, progress: Progress) -> tuple[Path, ...]:
    """A PNG of each figure; one from before of a figure that cannot be drawn any more is removed, no other file."""
    printed = printed_figures(figures, progress)
    for key, image in printed.items():
        _write(folder / f"{key}.png", image)
    for figure in figures:
        if figure.key not in printed:
            (folder / f"{figure.key}.png").unlink(missing_ok=True)
    return tuple(folder / f"{key}.png" for key in printed)


def _write(path: Path, content: bytes | str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SweepError(str(path), "must be a file that can be written", str(error)) from error
