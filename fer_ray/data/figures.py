"""Draws a data set as PNG: how many images its classes have, how bright they are, and sheets of images.

Small figures with large type: a page can show them on a telephone, and two side by side on a desk. Colours are
those of Okabe and Ito, which the colour-blind tell apart; lines differ in their dashes too.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fer_ray.data.dataset import Dataset
from fer_ray.data.schema import SPLITS
from fer_ray.data.survey import Floats, Survey
from fer_ray.pixels import Pixels

_DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)))
_WIDTH = 5.0
_DPI = 200
#: White pixels between the images of a sheet, and between its groups of columns.
_GAP, _GROUP_GAP = 2, 10
#: Of a sheet, in inches: above its images for the names of groups, and below and beside them.
_HEADER, _MARGIN = 0.35, 0.1


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a figure.

    Args:
        paper: Behind everything.
        ink: Of text and axes.
        faint: Of grid lines.
        splits: One per split.
    """

    paper: str
    ink: str
    faint: str
    splits: tuple[str, str, str]


LIGHT = Theme(paper="#ffffff", ink="#1d2330", faint="#dfe3ea", splits=("#0072b2", "#e69f00", "#009e73"))
DARK = Theme(paper="#191d26", ink="#e6e9ef", faint="#333a48", splits=("#56b4e9", "#e69f00", "#00b585"))


def class_distribution(data: Dataset, classes: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """One bar per class, in pieces by split, with the number of its images at the end."""
    figure, axes = _axes(theme, height=1.0 + 0.34 * len(classes))
    places = np.arange(len(classes))
    left = np.zeros(len(classes))
    for split, colour in zip(SPLITS, theme.splits, strict=True):
        counts = np.array([data.counts[split][name] for name in classes])
        axes.barh(
            places,
            counts,
            left=left,
            height=0.72,
            color=colour,
            edgecolor=theme.paper,
            linewidth=0.8,
            label=split,
        )
        left += counts
    for place, total in zip(places, left, strict=True):
        axes.annotate(
            f"{total:,.0f}", (total, place), (4, 0), textcoords="offset points", va="center", color=theme.ink
        )
    axes.set_yticks(places, [_short(name) for name in classes])
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(0, max(1.0, left.max()) * 1.14)
    axes.xaxis.set_major_locator(_few_whole_ticks())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images")
    axes.grid(axis="x", color=theme.faint)
    axes.tick_params(axis="y", length=0)
    _legend(figure, theme)
    return _png(figure)


def brightness(found: Survey, theme: Theme = LIGHT) -> bytes:
    """The distribution of the images' mean pixel values, a line per split."""
    figure, axes = _axes(theme, height=3.0)
    edges = _edges(np.concatenate([seen.brightness for seen in found.splits.values()]))
    for (split, seen), colour, dashes in zip(found.splits.items(), theme.splits, _DASHES, strict=True):
        counts, _ = np.histogram(seen.brightness, edges)
        shares = 100 * counts / max(1, len(seen.brightness))
        axes.stairs(shares, edges, color=colour, linewidth=1.8, linestyle=dashes, label=split)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("mean pixel value of an image (0 black, 255 white)")
    axes.set_ylabel("share of the images (%)")
    axes.grid(color=theme.faint)
    _legend(figure, theme)
    return _png(figure)


def sheet(rows: Mapping[str, Sequence[Sequence[Pixels]]], groups: Sequence[str]) -> bytes:
    """Images in rows, each row with a name, in groups of columns, each group with a name.

    Args:
        rows: For each row, its images by group; a group may have fewer images than it has columns, or none.
        groups: Names of the groups.
    """
    columns = [max(1, *(len(row[g]) for row in rows.values())) for g in range(len(groups))]
    side = next((image.shape[:2] for row in rows.values() for group in row for image in group), (1, 1))
    canvas, tops, lefts = _canvas(len(rows), columns, side)
    for top, row in zip(tops, rows.values(), strict=True):
        for group, starts in zip(row, lefts, strict=True):
            for left, image in zip(starts, group, strict=False):
                canvas[top : top + side[0], left : left + side[1]] = image
    height, width = canvas.shape[:2]
    scale = max(1, round(96 / max(side)))
    name = max(len(_short(each)) for each in rows) * 0.1 + 0.2
    # One pixel of an image is `scale` pixels of the figure, so that none is blurred.
    sheet_width, sheet_height = width * scale / _DPI, height * scale / _DPI
    inches = (name + sheet_width + _MARGIN, _HEADER + sheet_height + _MARGIN)
    figure = Figure(figsize=inches, dpi=_DPI, facecolor=LIGHT.paper)
    box = (name / inches[0], _MARGIN / inches[1], sheet_width / inches[0], sheet_height / inches[1])
    axes = figure.add_axes(box)
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=10, colors=LIGHT.ink)
    axes.set_yticks([top + side[0] / 2 for top in tops], [_short(name) for name in rows])
    axes.xaxis.tick_top()
    middles = [(starts[0] + starts[-1] + side[1]) / 2 for starts in lefts]
    axes.set_xticks(middles, groups)
    return _png(figure)


def _canvas(
    rows: int, columns: Sequence[int], side: tuple[int, int]
) -> tuple[Pixels, list[int], list[list[int]]]:
    """White paper, the top of each row, and the left edges of each group's columns."""
    height, width = side
    tops = [row * (height + _GAP) for row in range(rows)]
    lefts, start = [], 0
    for count in columns:
        lefts.append([start + column * (width + _GAP) for column in range(count)])
        start += count * (width + _GAP) + _GROUP_GAP
    paper = np.full((rows * (height + _GAP), start - _GROUP_GAP, 3), 255, np.uint8)
    return paper, tops, lefts


def _axes(theme: Theme, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor=theme.paper)
    axes = figure.subplots()
    axes.set_facecolor(theme.paper)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=10)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.ink)
    return figure, axes


def _edges(values: Floats) -> Floats:
    """Of bins from the darkest image to the brightest, but for one in a thousand at either end."""
    low, high = np.percentile(values, [0.1, 99.9])
    spare = max(0.0, 16 - (high - low)) / 2
    return np.linspace(max(0.0, low - spare), min(255.0, high + spare), 41)


def _few_whole_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5, integer=True)


def _legend(figure: Figure, theme: Theme) -> None:
    figure.legend(loc="outside upper center", ncols=len(SPLITS), frameon=False, labelcolor=theme.ink)


def _short(name: str) -> str:
    short = name if len(name) <= 24 else name[:23] + "…"
    return short.replace("$", r"\$")  # Matplotlib would read a formula between two of them.


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
