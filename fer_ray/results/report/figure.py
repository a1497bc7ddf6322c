"""A figure of a report: a plotly figure in the report's style, or the reason why there is none."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plotly.graph_objects as go
import plotly.io

from fer_ray.errors import ConfigError, FerRayError
from fer_ray.progress import Progress, no_progress

#: Okabe and Ito's colours, which people with any kind of colour blindness tell apart, on light and on dark.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#8A8F98",
)
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)
#: From dark to light, in an order of lightness that everybody sees.
SCALE = "Cividis"

#: Of a PNG, in pixels before the scale of 2.
_PRINTED_WIDTH = 900

_log = logging.getLogger(__name__)


class NothingToDrawError(Exception):
    """There is no such figure of this sweep; the text says why, as a sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """A figure.

    Args:
        key: Its anchor on the page and its PNG's name.
        title: Above it.
        caption: Below it: how to read it.
        plot: What is drawn; None if it cannot be.
        problem: Why it cannot be drawn; empty if it is.
        height: In pixels.
        width: The least in pixels; on a narrower screen the figure scrolls, not the page.
    """

    key: str
    title: str
    caption: str = ""
    plot: go.Figure | None = None
    problem: str = ""
    height: int = 380
    width: int = 0

    @property
    def json(self) -> str:
        """What plotly.js draws, safe inside a script element; NaN and infinities are null."""
        assert self.plot is not None
        return str(self.plot.to_json(engine="json")).replace("<", "\\u003c")


def figure(
    key: str, title: str, draw: Callable[[], go.Figure], *, caption: str = "", **options: Any
) -> Figure:
    """Draws a figure; what goes wrong stands in its place, so that one figure never costs the others.

    Args:
        key, title, caption: As in `Figure`.
        draw: Makes the plot, or raises `NothingToDrawError`.
        options: `height` and `width`, as in `Figure`.
    """
    try:
        plot = _styled(draw())
    except NothingToDrawError as reason:
        return Figure(key=key, title=title, problem=str(reason))
    except Exception as error:  # whatever the libraries that draw raise
        _log.debug("figure %s", key, exc_info=True)
        text = str(error) if isinstance(error, FerRayError) else f"{type(error).__name__}: {error}"
        return Figure(key=key, title=title, problem=f"This figure could not be drawn: {text}")
    return Figure(key=key, title=title, caption=caption, plot=plot, **options)


def printed_figures(figures: Sequence[Figure], progress: Progress = no_progress) -> dict[str, bytes]:
    """Each figure that could be drawn as a PNG, by its key, printed by Chromium or Chrome.

    Raises:
        ConfigError: If there is no such browser on this machine.
    """
    from kaleido.errors import ChromeNotFoundError

    drawn = [each for each in figures if each.plot is not None]
    progress("printing figures", 0, len(drawn))
    with TemporaryDirectory() as folder:
        paths = {each.key: Path(folder, f"{each.key}.png") for each in drawn}
        try:
            plotly.io.write_images(
                [_printed(each) for each in drawn],
                [str(path) for path in paths.values()],
                width=[max(each.width, _PRINTED_WIDTH) for each in drawn],
                height=[each.height + 60 for each in drawn],
                scale=2,
            )
        except RuntimeError as error:  # plotly's own, raised where it meets the one that says what is missing
            if not isinstance(error.__context__, ChromeNotFoundError):
                raise
            remedy = "Install it (Debian: apt-get install chromium), or save single figures from the page"
            raise ConfigError(
                "figures as PNG", "need Chromium or Chrome on this machine", "", remedy
            ) from error
        progress("printing figures", len(drawn), len(drawn))
        return {key: path.read_bytes() for key, path in paths.items()}


def _styled(plot: go.Figure) -> go.Figure:
    """The page gives title and colours of text; figures have no background of their own."""
    plot.update_layout(
        template="plotly_white",
        title=None,
        width=None,
        height=None,
        autosize=True,
        colorway=COLOURS,
        font={"family": "system-ui, sans-serif", "size": 13},
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "title": None},
    )
    plot.update_xaxes(automargin=True)
    plot.update_yaxes(automargin=True)
    return plot


def _printed(figure: Figure) -> go.Figure:
    plot = go.Figure(figure.plot)
    return plot.update_layout(
        title={"text": figure.title, "font": {"size": 16}, "x": 0.02},
        margin={"t": 90},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
