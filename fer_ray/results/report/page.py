"""A report as one HTML page that needs nothing else: texts, tables and figures in sections."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from fer_ray.results.report.figure import Figure

#: Characters of a cell's text from which on it may break into lines.
_LONG = 60


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number of the first screen: what it is, the number, and what must be said with it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; `warning` sets it off."""

    text: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class Code:
    """Something to copy.

    Args:
        label: What it is.
        text: The lines.
        folded: Whether it is shown only when it is asked for.
    """

    label: str
    text: str
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Args:
        key: Its anchor.
        title: Above it.
        columns: Names; a click on one sorts by it.
        rows: A cell for each column: a text, or a number, which sorts as one; None is a dash.
        caption: Below it.
        folded: Whether it is shown only when it is asked for.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Figures side by side, where there is room: as many as are at least so many pixels wide."""

    figures: Sequence[Figure]
    width: int = 320


Block = Text | Code | Table | Figure | Grid


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page, with its anchor."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page.

    Args:
        title: Of the page and its first heading.
        lead: The answer, in a sentence or two.
        facts: The numbers of the first screen.
        sections: In their order; the menu names them.
        made: When and by what, at its end.
    """

    title: str
    lead: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    made: str

    @property
    def figures(self) -> list[Figure]:
        """All figures, those that could not be drawn too."""
        blocks = [block for section in self.sections for block in section.blocks]
        nested = [block.figures if isinstance(block, Grid) else [block] for block in blocks]
        return [each for group in nested for each in group if isinstance(each, Figure)]


def render_page(page: Page) -> str:
    """The HTML, with styles, scripts and plotly.js inside: about 4.9 MB where there is a figure."""
    folder = files("fer_ray.results.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(cell=_cell, kind=_kind)
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        page=page,
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs() if any(each.plot is not None for each in page.figures) else "",
    )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if abs(value) >= 10:
            return f"{value:,.1f}"
        return f"{value:.4g}" if abs(value) < 1e-3 and value else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _kind(value: Any) -> str:
    """The class of a cell: numbers stand to the right, long texts may break."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return "long" if len(str(value)) > _LONG else ""
