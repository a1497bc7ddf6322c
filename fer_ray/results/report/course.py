"""Figures of a sweep's course: best value over time and epochs, learning curves, workers, failures, confusion."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_ray.objective import Objective
from fer_ray.results.evaluation import Evaluation
from fer_ray.results.report.clock import Clock, best_so_far
from fer_ray.results.report.figure import BLUE, GREEN, GREY, ORANGE, RED, NothingToDrawError


class Best(NamedTuple):
    """The best trial: its number, None if there is none, and what the legend calls it."""

    trial: int | None
    called: str


class _Fate(NamedTuple):
    """How a trial stands: its name in the legend, its colour, its curve's dash, the marker of the curve's end."""

    name: str
    colour: str
    dash: str
    symbol: str
    is_best: bool = False


#: By state, in the order of the legend; the best trial stands before them.
_FATES = {
    "COMPLETE": _Fate("trained to the end", GREEN, "solid", "circle"),
    "PRUNED": _Fate("stopped early", ORANGE, "dot", "x"),
    "RUNNING": _Fate("running or waiting", GREY, "dash", "triangle-right"),
    "FAIL": _Fate("failed", RED, "dashdot", "diamond"),
}
_HOUR, _MINUTE = 3600.0, 60.0


def best_over_time(clock: Clock, objective: Objective) -> go.Figure:
    """The best value so far, over the time in which somebody trained."""
    unit, name = _unit(clock.seconds)
    return _improvements(
        clock, objective, clock.epochs["ended"] / unit, f"{name} since the first epoch began"
    )


def best_over_epochs(clock: Clock, objective: Objective) -> go.Figure:
    """The best value so far, over the epochs that all trials together have trained."""
    spent = pd.Series(np.arange(1, len(clock.epochs) + 1))
    return _improvements(clock, objective, spent, "epochs trained, all trials together")


def best_of_several(clocks: Mapping[str, Clock], objective: Objective, *, over_time: bool) -> go.Figure:
    """The best value so far of several sweeps.

    Args:
        clocks: By the sweeps' names.
        objective: Theirs.
        over_time: Over time; else over the epochs that all trials together have trained.
    """
    unit, name = _unit(max((clock.seconds for clock in clocks.values()), default=0.0))
    plot = go.Figure()
    dashes = ("solid", "dash", "dot", "dashdot", "longdash")
    for place, (sweep, clock) in enumerate(clocks.items()):
        epochs = _with_metric(clock.epochs, objective.metric)
        plot.add_scatter(
            x=epochs["ended"] / unit if over_time else np.arange(1, len(epochs) + 1),
            y=best_so_far(epochs, objective.metric, objective.mode),
            mode="lines",
            name=escape(sweep),
            line={"width": 3, "shape": "hv", "dash": dashes[place % len(dashes)]},
        )
    plot.update_xaxes(
        title=f"{name} since the first epoch began" if over_time else "epochs trained, all trials together",
        rangemode="tozero",
    )
    return plot.update_yaxes(title=f"best {objective.metric} so far")


def learning_curves(
    trials: pd.DataFrame, epochs: pd.DataFrame, objective: Objective, rungs: Sequence[int], best: Best
) -> go.Figure:
    """The objective over the epochs of each trial, one trace for each way to end, and the rungs."""
    values = _with_metric(epochs, objective.metric)
    plot = go.Figure()
    fates = _fates(trials, best)
    reasons = dict(zip(trials["trial"].tolist(), trials["reason"].fillna("").astype(str), strict=True))
    for fate, members in fates.items():
        numbers = [number for number in values["trial"].unique() if number in members]
        if numbers:
            curves = [values[values["trial"] == number] for number in numbers]
            _add_curves(plot, curves, objective.metric, fate)
            # A diverged trial's last value cannot be drawn: its mark stands at the last that can.
            ends = [curve[np.isfinite(curve[objective.metric].astype("float64"))].tail(1) for curve in curves]
            _add_ends(plot, pd.concat(ends), objective.metric, reasons, fate)
    for rung in rungs:
        plot.add_vline(rung, line={"color": GREY, "dash": "dash", "width": 1}, annotation_text=f"rung {rung}")
    plot.update_xaxes(title="epoch", rangemode="tozero")
    return plot.update_yaxes(title=objective.metric)


def workers(clock: Clock, trials: pd.DataFrame, best: Best) -> go.Figure:
    """Who trained which trial when: a row for each worker."""
    unit, name = _unit(clock.seconds)
    spans = _spans(clock.epochs.dropna(subset=["worker"]))
    if spans.empty:
        raise NothingToDrawError("No epoch has been trained with a time and a worker.")
    plot = go.Figure()
    for fate, members in _fates(trials, best).items():
        own = spans[spans["trial"].isin(members)]
        if len(own):
            plot.add_bar(
                base=own["began"] / unit,
                x=(own["ended"] - own["began"]) / unit,
                y=own["worker"].map(escape),
                orientation="h",
                name=fate.name,
                marker={"color": fate.colour, "line": {"color": "rgba(128,128,128,0.6)", "width": 1}},
                customdata=own[["trial", "first", "last"]],
                hovertemplate="trial %{customdata[0]}, epochs %{customdata[1]} to %{customdata[2]}<extra></extra>",
            )
    plot.update_layout(barmode="overlay", bargap=0.25)
    plot.update_xaxes(title=f"{name} since the first epoch began")
    return plot.update_yaxes(title=None, autorange="reversed", type="category")


def failures(kinds: pd.Series) -> go.Figure:
    """How many trials have no result, by kind.

    Args:
        kinds: Of each trial that failed, at least one; a kind that was not kept is missing.
    """
    counts = kinds.fillna("not recorded").astype(str).value_counts().sort_values()
    plot = go.Figure(go.Bar(x=counts, y=counts.index, orientation="h", marker_color=RED, text=counts))
    return plot.update_xaxes(title="trials", dtick=max(1, int(counts.max()) // 8), rangemode="tozero")


def confusion(evaluation: Evaluation) -> go.Figure:
    """Shares of each true class, with counts."""
    counts = evaluation.confusion
    supports = np.array([row.support for row in evaluation.per_class])
    names = [escape(name) for name in evaluation.classes]
    plot = go.Figure(
        go.Heatmap(
            z=counts / np.maximum(supports, 1)[:, None],
            x=names,
            y=names,
            zmin=0,
            zmax=1,
            colorscale="Blues",
            text=counts,
            texttemplate="%{text}",
            customdata=counts,
            hovertemplate="true %{y}, predicted %{x}: %{customdata} images, %{z:.1%}<extra></extra>",
            colorbar={"title": {"text": "share of<br>true class"}, "tickformat": ".0%", "thickness": 14},
        )
    )
    plot.update_xaxes(title="predicted", type="category")
    return plot.update_yaxes(title="true", type="category", autorange="reversed")


def _fates(trials: pd.DataFrame, best: Best) -> dict[_Fate, set[int]]:
    """The numbers of the trials that stand so, in the order of the legend."""
    others = trials[trials["trial"] != best.trial]
    found = {_Fate(best.called, BLUE, "solid", "star", is_best=True): {best.trial}}
    return found | {
        fate: set(others.loc[others["state"] == state, "trial"]) for state, fate in _FATES.items()
    }


def _improvements(clock: Clock, objective: Objective, places: pd.Series, title: str) -> go.Figure:
    epochs = _with_metric(clock.epochs, objective.metric)
    places = places[epochs.index]
    best = best_so_far(epochs, objective.metric, objective.mode)
    texts = [
        f"trial {trial}, epoch {epoch}" for trial, epoch in zip(epochs["trial"], epochs["epoch"], strict=True)
    ]
    plot = go.Figure()
    plot.add_scatter(
        x=places,
        y=epochs[objective.metric],
        mode="markers",
        name="each epoch",
        text=texts,
        marker={"color": GREY, "size": 5, "opacity": 0.7},
        hovertemplate="%{text}: %{y:.4f}<extra></extra>",
    )
    plot.add_scatter(
        x=places,
        y=best,
        mode="lines",
        name="best so far",
        line={"color": BLUE, "width": 3, "shape": "hv"},
        hovertemplate="best so far %{y:.4f}<extra></extra>",
    )
    plot.update_xaxes(title=title, rangemode="tozero")
    return plot.update_yaxes(title=objective.metric)


def _with_metric(epochs: pd.DataFrame, metric: str) -> pd.DataFrame:
    if metric not in epochs.columns or not np.isfinite(epochs[metric].astype("float64")).any():
        raise NothingToDrawError(f"No epoch has reported a finite {metric}.")
    return epochs


def _add_curves(plot: go.Figure, curves: list[pd.DataFrame], metric: str, fate: _Fate) -> None:
    """All curves of one kind as one trace, apart by gaps: hundreds of traces would make the page slow."""
    xs: list[Any] = []
    ys: list[Any] = []
    texts: list[str] = []
    for curve in curves:
        xs += [*curve["epoch"], None]
        ys += [*curve[metric], None]
        texts += [f"trial {number}" for number in curve["trial"]] + [""]
    plot.add_scatter(
        x=xs,
        y=ys,
        text=texts,
        mode="lines",
        name=fate.name,
        legendgroup=fate.name,
        line={"color": fate.colour, "dash": fate.dash, "width": 4 if fate.is_best else 1.5},
        opacity=1 if fate.is_best else 0.75,
        hovertemplate="%{text}, epoch %{x}: %{y:.4f}<extra></extra>",
    )


def _add_ends(
    plot: go.Figure, ends: pd.DataFrame, metric: str, reasons: Mapping[int, str], fate: _Fate
) -> None:
    plot.add_scatter(
        x=ends["epoch"],
        y=ends[metric],
        text=[f"trial {number}, {fate.name}<br>{escape(reasons[number])}" for number in ends["trial"]],
        mode="markers",
        legendgroup=fate.name,
        showlegend=False,
        marker={"color": fate.colour, "symbol": fate.symbol, "size": 14 if fate.is_best else 8},
        hovertemplate="%{text}<extra></extra>",
    )


def _spans(epochs: pd.DataFrame) -> pd.DataFrame:
    """Epochs that one worker trained of one trial in a row, as one."""
    ordered = epochs.sort_values(["worker", "began"], kind="stable")
    new = (ordered["trial"] != ordered["trial"].shift()) | (ordered["worker"] != ordered["worker"].shift())
    grouped = ordered.groupby(new.cumsum(), sort=False)
    spans: pd.DataFrame = grouped.agg(
        worker=("worker", "first"),
        trial=("trial", "first"),
        began=("began", "min"),
        ended=("ended", "max"),
        first=("epoch", "min"),
        last=("epoch", "max"),
    )
    return spans.sort_values("began", ignore_index=True)


def _unit(seconds: float) -> tuple[float, str]:
    if seconds >= 2 * _HOUR:
        return _HOUR, "hours"
    return (_MINUTE, "minutes") if seconds >= 3 * _MINUTE else (1.0, "seconds")
