"""The first sections of a sweep's page: what won, how good it is, and how the sweep came there."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_ray.results.evaluation import Evaluation
from fer_ray.results.report import course as drawn
from fer_ray.results.report.clock import LONGEST_PAUSE, duration
from fer_ray.results.report.figure import figure
from fer_ray.results.report.page import Block, Code, Grid, Table, Text
from fer_ray.results.report.searched import Searched
from fer_ray.search.history import make_rungs
from fer_ray.search.report.facts import SweepFacts
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Space
from fer_ray.spaces.describe import describe

_BEST = "The best is that of trials that did not fail."


def percent(share: float) -> str:
    """Such as 96.3%."""
    return f"{share:.1%}"


def accuracy_note(evaluation: Evaluation) -> str:
    """What must be said with an accuracy."""
    low, high = evaluation.interval
    return f"95% interval {percent(low)} to {percent(high)}, n = {evaluation.n:,}"


def utilisation(facts: SweepFacts) -> str:
    """How busy the workers of the last run were, or, where it has not ended, all so far; empty if none trained."""
    if facts.last_run and facts.last_run.workers:
        run = facts.last_run
        return f"last run: {run.workers} workers, inside training {run.utilisation:.0%} of the time"
    if not facts.clock.seconds:
        return ""
    busy = facts.clock.epochs["seconds"].sum() / facts.clock.seconds
    return f"so far: on average {busy:.1f} workers inside training"


def best(facts: SweepFacts, again: SweepSpec | None, again_file: Path) -> list[Block]:
    """The best configuration, and how to train it again."""
    row = facts.result.best
    if row is None or again is None:
        return [Text("No trial has a result, so there is no best configuration.")]
    metric = facts.result.objective.metric
    exact = (
        "It trains as many epochs with the same seed on the same images. On one CPU thread of the same kind of "
        f"machine, with the same versions, {metric} comes out as {row['value']!r} again, bit for bit; with several "
        "threads or on a GPU nearly so. Call it in the folder in which the sweep was started."
    )
    return [
        Code(
            label="The command that trains it again:",
            text=f"fer-ray sweep run {shlex.quote(str(again_file))}",
        ),
        Text(exact),
        Code(label=f"What {again_file.name} says", text=again.to_yaml(), folded=True),
        Table(
            key="configuration",
            title=f"Trial {row['trial']}, epoch {row['best_epoch']} of {row['epochs']}",
            columns=["hyperparameter", "value", "of"],
            rows=_configuration(facts.space, row["hyperparameters"]),
            caption=f"{row['parameters']:,} weights." if row["parameters"] else "",
        ),
    ]


def test(facts: SweepFacts) -> list[Block]:
    """The registered winner on the test split."""
    evaluation = facts.evaluation
    if evaluation is None or facts.manifest is None:
        return [
            Text(
                facts.no_model
                or "The registered model has no evaluation on the test split with its protocol."
            )
        ]
    engine = facts.manifest.metrics["test"].model_dump().get("engine", facts.manifest.default_engine)
    told = (
        f"{facts.manifest.name}:{facts.manifest.version}, as its engine {engine} answers: accuracy "
        f"{percent(evaluation.accuracy)} ({accuracy_note(evaluation)}, Wilson), macro-F1 "
        f"{evaluation.macro_f1:.4f}, balanced accuracy {evaluation.balanced_accuracy:.4f}. {evaluation.protocol}"
    )
    classes = [[row.name, row.precision, row.recall, row.f1, row.support] for row in evaluation.per_class]
    columns = ["class", "precision", "recall", "F1", "images"]
    return [
        Text(told),
        Table(key="classes", title="Per class", columns=columns, rows=classes),
        figure(
            "confusion",
            "Confusion matrix",
            lambda: drawn.confusion(evaluation),
            caption="A row is a true class. A cell has its images; its colour is their share of the row.",
            height=90 + 46 * max(5, len(evaluation.classes)),
        ),
    ]


def course(facts: SweepFacts, searched: Searched) -> list[Block]:
    """How the best value grew, over time, epochs and trials; of several objectives the front too."""
    objective = facts.result.objective
    figures = [
        figure(
            "best-over-time",
            "Best so far over time",
            lambda: drawn.best_over_time(facts.clock, objective),
            caption=f"From the first epoch's beginning. {_BEST}{_left_out(facts.clock.pauses)}",
        ),
        figure(
            "best-over-epochs",
            "Best so far over epochs spent",
            lambda: drawn.best_over_epochs(facts.clock, objective),
            caption=f"Epochs of all trials, in the order in which they ended. {_BEST}",
        ),
        searched.history(),
        searched.distribution(),
    ]
    if len(facts.result.objectives) == 1:
        return [Grid(figures=figures, width=440)]
    return [searched.front(), _front_table(facts), Grid(figures=figures, width=440)]


def curves(facts: SweepFacts) -> list[Block]:
    """Every trial's learning curve, the rungs, and where each stopped."""
    objective, rungs = facts.result.objective, sorted(make_rungs(facts.result.spec).epochs)
    told = f"Rungs at epochs {', '.join(map(str, rungs))}." if rungs else "There are no rungs."
    return [
        figure(
            "learning-curves",
            f"{objective.metric} over the epochs of each trial",
            lambda: drawn.learning_curves(facts.trials, facts.epochs, objective, rungs, facts.best),
            caption=f"{told} The mark at a curve's end tells which trial it is and why it ended. A click on the "
            "legend hides or shows a kind.",
            height=480,
        )
    ]


def _configuration(space: Space | None, values: Mapping[str, Any]) -> list[list[Any]]:
    """Name, value to the last digit, since it is there to be copied, and the range."""
    if space is None:
        return [[name, str(value), None] for name, value in values.items()]
    ranges = {}
    for item, row in zip(space.hyperparameters, describe(space), strict=True):
        parts = [row["values"], row["sampling"].replace("linear", "")]
        ranges[item.identity] = "fixed" if item.size == 1 else ", ".join(filter(None, parts))
    walked: dict[str, Any] = {}
    rows = []
    for item in space.chosen(walked):
        walked[item.name] = values[item.name]
        rows.append([item.name, str(values[item.name]), ranges[item.identity]])
    return rows


def _left_out(pauses: list[float]) -> str:
    if not pauses:
        return ""
    count = "a pause" if len(pauses) == 1 else f"{len(pauses)} pauses"
    least, total = duration(LONGEST_PAUSE), duration(sum(pauses))
    return f" Left out: {count} of more than {least} in which nobody trained, {total} in all."


def _front_table(facts: SweepFacts) -> Table:
    metrics = [objective.metric for objective in facts.result.objectives]
    rows = [
        [row["trial"], *row["values"].values(), row["epochs"], row["state"]] for row in facts.result.front
    ]
    return Table(
        key="front",
        title="Trials on the front",
        columns=["trial", *metrics, "epochs", "state"],
        rows=rows,
        caption="No other trial is equal or better in everything and better in something.",
    )
