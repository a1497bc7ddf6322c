"""Figures of what was searched: `optuna.visualization` over the trials that have a result."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np
import optuna.visualization as drawn
import plotly.graph_objects as go
from optuna import Study, create_study, create_trial
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from plotly.colors import sample_colorscale

from fer_ray.results.report.figure import BLUE, GREY, SCALE, SKY, Figure, NothingToDrawError, figure

#: Of the hyperparameters, the most important first: axes of the parallel coordinates, slices, those in contours.
_AXES, _SLICES, _PAIRED = 8, 12, 3
#: From bad to good: what is good stands out on light and on dark.
_GOOD = [[0.0, GREY], [0.5, SKY], [1.0, BLUE]]
#: Fewer trials tell nothing of importance; of more, so many are drawn: fANOVA takes minutes for 2,000.
_FEWEST, _EXPLAINED = 4, 400
#: Lines of the parallel coordinates at most: each is a trace, and among more nobody can follow one.
_LINES = 100
#: Places on an axis of a contour at most: Optuna draws a cell for each pair of different values.
_PLACES = 30


class Searched:
    """The trials of a sweep that have a result, for `optuna.visualization`.

    Args:
        study: With the sweep's trials under their numbers: those with a result COMPLETE, with their real
            hyperparameters and one value per objective, all others FAIL.
        metrics: The names of the objectives, the primary first.
    """

    def __init__(self, study: Study, metrics: list[str]) -> None:
        self.study, self.metrics = study, metrics
        self.trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self.counts = Counter(name for trial in self.trials for name in trial.params)

    @property
    def always(self) -> list[str]:
        """Hyperparameters that each of the trials has, and that are not the same in all."""
        return [name for name, n in self.counts.items() if n == len(self.trials) and self._differs(name)]

    @property
    def sometimes(self) -> list[str]:
        """Hyperparameters that some of the trials have: those under a condition."""
        return [name for name, n in self.counts.items() if n < len(self.trials)]

    def history(self) -> Figure:
        """Values by trial number."""
        return figure(
            "history",
            "Trials in their order",
            partial(self._draw, drawn.plot_optimization_history),
            caption="The best value of each trial; of those stopped early what they had reached.",
        )

    def distribution(self) -> Figure:
        """The empirical distribution of the values."""
        return figure(
            "edf",
            "How many trials are how good",
            partial(self._draw, drawn.plot_edf),
            caption="The share of the trials whose best value is at most this.",
        )

    def front(self) -> Figure:
        """The Pareto front of two or three objectives."""
        return figure("pareto", "Pareto front", self._draw_front, height=440)

    def importance(self) -> Figure:
        """What each hyperparameter explains of the primary objective, by fANOVA."""
        return figure(
            "importance",
            "Importance of hyperparameters",
            self._draw_importance,
            caption=self._coverage(),
            height=90 + 26 * max(4, len(self.always)),
        )

    def parallel(self) -> Figure:
        """Parallel coordinates of the most important ones."""
        shown, rest = "", len(self._ranked) - _AXES
        if rest > 0:
            shown = f"The {_AXES} most important hyperparameters are shown, {rest} others not. "
        if len(self.trials) > _LINES:
            shown += f"The best {_LINES} of {len(self.trials):,} trials are shown. "
        return figure(
            "parallel",
            "Parallel coordinates",
            self._draw_parallel,
            caption=f"{shown}A line is a trial: the bluer and thicker, the better.",
            height=440,
            width=700,
        )

    def contours(self) -> list[Figure]:
        """The most important ones by twos."""
        pairs = list(combinations(self._ranked[:_PAIRED], 2))
        problem = "A contour needs two hyperparameters that are active in every trial and differ."
        return [self._contour(f"contour-{place}", pair) for place, pair in enumerate(pairs, start=1)] or [
            Figure(key="contour", title="Contours", problem=problem)
        ]

    def slices(self) -> list[Figure]:
        """Values over one hyperparameter, the most important first, those under a condition last."""
        names = [*self._ranked, *self.sometimes]
        problem = "No hyperparameter differs between the trials."
        return [
            figure(f"slice-{place}", name, partial(self._draw_slice, name), height=260)
            for place, name in enumerate(names[:_SLICES], start=1)
        ] or [Figure(key="slice", title="Slices", problem=problem)]

    @cached_property
    def _importances(self) -> dict[str, float] | str:
        """Shares, the largest first, or why there are none."""
        if len(self.trials) < _FEWEST:
            return f"Importance needs at least {_FEWEST} trials with a result; there are {len(self.trials)}."
        if not self.always:
            return "No hyperparameter that differs is active in every trial."
        if len({_primary(trial) for trial in self.trials}) == 1:
            return "All trials have the same value: there is nothing to explain."
        taken = self.trials
        if len(taken) > _EXPLAINED:
            taken = random.Random(0).sample(taken, _EXPLAINED)
        evaluator, study = FanovaImportanceEvaluator(seed=0), self._study_of(taken)
        try:
            return get_param_importances(study, evaluator=evaluator, params=self.always, target=_primary)
        except RuntimeError as error:  # Optuna's, where its trees find no split, as in a range near zero
            return f"Importance cannot be told: {error}"

    @property
    def _ranked(self) -> list[str]:
        """Those of `always`, the most important first; in the order of the space where that is not known."""
        return self.always if isinstance(self._importances, str) else list(self._importances)

    def _coverage(self) -> str:
        told = f"The share of what each explains by itself of the differences in {self.metrics[0]}."
        if len(self.trials) > _EXPLAINED:
            told += f" Computed from {_EXPLAINED} of the {len(self.trials):,} trials, drawn at random."
        if not self.sometimes:
            return f"{told} All hyperparameters that differ are covered."
        listed = ", ".join(f"{name} ({self.counts[name]})" for name in self.sometimes)
        return (
            f"{told} Covered are the {len(self.always)} hyperparameters that every trial has and that differ. Not "
            f"covered are those under a condition, here with the number of trials that have them: {listed}."
        )

    @property
    def _small_is_better(self) -> bool:
        return self.study.directions[0] is StudyDirection.MINIMIZE

    def _study_of(self, trials: Sequence[FrozenTrial]) -> Study:
        study = create_study(directions=self.study.directions)
        study.add_trials(trials)
        return study

    def _draw(
        self, draw: Callable[..., go.Figure], trials: Sequence[FrozenTrial] | None = None, **options: Any
    ) -> go.Figure:
        """By Optuna, of these trials or of all that have a result."""
        if not self.trials:
            raise NothingToDrawError("No trial has a result.")
        study = self.study if trials is None else self._study_of(trials)
        # Of one objective Optuna draws more if nothing is said of it.
        target = _primary if len(self.metrics) > 1 else None
        return draw(study, target=target, target_name=self.metrics[0], **options)

    def _draw_importance(self) -> go.Figure:
        if isinstance(self._importances, str):
            raise NothingToDrawError(self._importances)
        names, shares = list(self._importances), list(self._importances.values())
        plot = go.Figure(
            go.Bar(
                x=shares,
                y=names,
                orientation="h",
                marker_color=BLUE,
                text=[f"{share:.2f}" for share in shares],
                hovertemplate="%{y}: %{x:.3f}<extra></extra>",
            )
        )
        plot.update_yaxes(type="category", dtick=1, autorange="reversed")
        return plot.update_xaxes(title="share (fANOVA)", rangemode="tozero")

    def _draw_parallel(self) -> go.Figure:
        if not self._ranked:
            raise NothingToDrawError("No hyperparameter differs and is active in every trial.")
        best = sorted(self.trials, key=_primary, reverse=not self._small_is_better)[:_LINES]
        plot = self._draw(drawn.plot_parallel_coordinate, best, params=self._ranked[:_AXES])
        *lines, scale = plot.data
        for line in lines:
            # The first axis is the objective's, from its least value at 0 to its largest at 1.
            share = 1 - line.y[0] if self._small_is_better else line.y[0]
            line.update(line={"color": sample_colorscale(_GOOD, share)[0], "width": 1 + 1.5 * share})
            line.update(opacity=0.35 + 0.65 * share)
        scale.marker.update(colorscale=_GOOD, reversescale=self._small_is_better, colorbar={"thickness": 12})
        plot.update_annotations(font_color=GREY)
        return plot.update_xaxes(showline=False)

    def _contour(self, key: str, pair: tuple[str, str]) -> Figure:
        values = {name: [trial.params[name] for trial in self.trials] for name in pair}
        places = {name: _at_places(given) for name, given in values.items()}
        moved = {name: given for name, given in values.items() if given != places[name]}
        caption = "The points are trials; between them the value is interpolated."
        if moved:
            caption += (
                f" An axis has at most {_PLACES} places for it; of trials in one place the best counts."
            )
        return figure(key, " and ".join(pair), partial(self._draw_contour, places, moved), caption=caption)

    def _draw_contour(self, places: dict[str, list[Any]], moved: dict[str, list[Any]]) -> go.Figure:
        """By trial: each hyperparameter's place, and its value where that is another."""
        study = create_study(direction=self.study.directions[0])
        study.add_trials(
            create_trial(
                value=_primary(trial),
                params=dict(zip(places, there, strict=True)),
                distributions={name: trial.distributions[name] for name in places},
            )
            for trial, there in zip(self.trials, zip(*places.values(), strict=True), strict=True)
        )
        plot = drawn.plot_contour(study, params=list(places), target_name=self.metrics[0])
        points: dict[str, Any] = {
            axis: moved[name] for axis, name in zip("xy", sorted(places), strict=True) if name in moved
        }
        if points:  # so many that they would hide what is below
            points["marker"] = {"size": 4, "line": {"width": 0}, "opacity": 0.6}
            plot.update_traces(points, selector={"name": "Feasible Trial"})
        bar = {"thickness": 14, "title": {"text": self.metrics[0], "side": "right"}}
        return plot.update_traces(
            selector={"type": "contour"}, colorscale=SCALE, reversescale=False, line_width=0.5, colorbar=bar
        )

    def _draw_slice(self, name: str) -> go.Figure:
        plot = self._draw(drawn.plot_slice, params=[name])
        marker = {"colorscale": SCALE, "reversescale": False, "size": 8, "showscale": False}
        plot.update_traces(selector={"type": "scatter"}, marker=marker)
        return plot.update_xaxes(title=None)

    def _draw_front(self) -> go.Figure:
        if not self.trials:
            raise NothingToDrawError("No trial has a value of each objective.")
        if len(self.metrics) > 3:
            raise NothingToDrawError(f"There are {len(self.metrics)} objectives; Optuna draws two or three.")
        plot = drawn.plot_pareto_front(self.study, target_names=self.metrics)
        for name, colour, size in (("Trial", GREY, 7), ("Best Trial", BLUE, 11)):
            marker = {"color": colour, "size": size, "showscale": False}
            plot.update_traces(selector={"name": name}, marker=marker)
        return plot

    def _differs(self, name: str) -> bool:
        return len({trial.params[name] for trial in self.trials}) > 1


def _primary(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _at_places(values: list[Any]) -> list[Any]:
    """Numbers, each moved to the nearest of at most `_PLACES` of them, which are as dense as they are."""
    if not all(isinstance(value, int | float) for value in values):
        return values
    given = np.array(values)
    distinct = np.unique(given)
    if len(distinct) <= _PLACES:
        return values
    places = distinct[np.linspace(0, len(distinct) - 1, _PLACES).round().astype(int)]
    moved: list[Any] = places[np.searchsorted((places[1:] + places[:-1]) / 2, given)].tolist()
    return moved
