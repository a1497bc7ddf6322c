"""The further sections of a sweep's page: hyperparameters, trials, workers, failures, environment."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from fer_ray.results.report import course as drawn
from fer_ray.results.report.clock import duration
from fer_ray.results.report.figure import figure
from fer_ray.results.report.page import Block, Code, Grid, Table, Text
from fer_ray.results.report.searched import Searched
from fer_ray.search.report.answer import utilisation
from fer_ray.search.report.facts import SweepFacts

#: Rows that a table shows before it is folded.
_UNFOLDED = 10


def hyperparameters(facts: SweepFacts, searched: Searched) -> list[Block]:
    """What mattered: importance, parallel coordinates, contours, slices."""
    metric, several = facts.result.objective.metric, len(facts.result.objectives) > 1
    told = (
        f"Over {len(searched.trials)} trials with a result. A trial that was stopped early counts with the best "
        "value that it had reached, which more epochs might have raised."
    )
    return [
        Text(f"{told} All figures here are of {metric}, the first objective." if several else told),
        searched.importance(),
        searched.parallel(),
        Text("Contours: the most important hyperparameters by twos."),
        Grid(figures=searched.contours()),
        Text(
            "Slices: each trial's value over one hyperparameter, the most important first, those under a condition "
            "last. The lighter a point, the later its trial."
        ),
        Grid(figures=searched.slices()),
    ]


def trials(facts: SweepFacts) -> list[Block]:
    """The leaderboard, and every trial with its hyperparameters."""
    order = {row["trial"]: row["rank"] for row in facts.result.leaderboard(max(1, len(facts.trials)))}
    unranked = len(facts.trials) + 1
    rows = sorted(
        facts.result.trials.to_pylist(), key=lambda row: (order.get(row["trial"], unranked), row["trial"])
    )
    measured = ["latency_ms"] if any(row["latency_ms"] is not None for row in rows) else []
    shown = ["trial", "state", "value", "best_epoch", "epochs", "seconds", "parameters", *measured, "reason"]
    columns = ["rank", *(name.replace("_", " ") for name in shown)]
    cells = [[order.get(row["trial"]), *(row[name] for name in shown)] for row in rows]
    full = [[*cell, _one_line(row["hyperparameters"])] for cell, row in zip(cells, rows, strict=True)]
    return [
        Table(key="leaderboard", title="The best", columns=columns, rows=cells[: min(_UNFOLDED, len(order))]),
        Table(
            key="all-trials",
            title=f"All {len(cells)} trials with their hyperparameters",
            columns=[*columns, "hyperparameters"],
            rows=full,
            caption="A click on a heading sorts. A value is the objective at the best epoch.",
            folded=True,
        ),
    ]


def workers(facts: SweepFacts) -> list[Block]:
    """Who trained what when, and how busy they were."""
    names = facts.epochs["worker"].dropna().unique()
    trained, span = duration(float(facts.epochs["seconds"].sum())), duration(facts.clock.seconds)
    told = f"{len(names)} worker processes trained {trained} in {span} from the first epoch to the last."
    if busy := utilisation(facts):
        told += f" {busy.capitalize()}; the rest is building models, checkpoints and waiting."
    return [
        Text(told),
        figure(
            "timeline",
            "Who trained what when",
            lambda: drawn.workers(facts.clock, facts.trials, facts.best),
            caption="A row is a worker process, a bar the epochs in a row that it trained of one trial.",
            height=min(1600, 130 + 34 * max(2, len(names))),
            width=520,
        ),
    ]


def failures(facts: SweepFacts) -> list[Block]:
    """Trials without a result by kind, those that do not count, and proposals that were not trained again."""
    failed = (facts.trials["state"] == "FAIL") & ~facts.uncounted
    blocks: list[Block] = [Text("No trial failed.")]
    if failed.any():
        kinds = facts.trials.loc[failed, "failure"]
        blocks = [
            figure("failure-kinds", "Failures by kind", lambda: drawn.failures(kinds), height=260),
            _failed(facts, failed, "failed", "Failed trials"),
        ]
    if facts.uncounted.any():
        why = "no model can be built, a constraint is broken, or the sweep ended before the first epoch"
        blocks += [
            Text(f"Not counted: {facts.uncounted.sum()} trials of which nothing was trained, as {why}."),
            _failed(facts, facts.uncounted, "uncounted", "Trials that do not count"),
        ]
    if facts.duplicates is None:
        return [*blocks, Text(f"Duplicates are not known. {facts.no_study}")]
    pairs = [list(pair) for pair in facts.duplicates]
    if not pairs:
        return [*blocks, Text("Duplicates: no configuration was proposed twice.")]
    told = f"Duplicates: {len(pairs)} proposals repeated a configuration; none of them was trained again."
    columns = ["proposal", "same configuration as trial"]
    return [*blocks, Text(told), _table("duplicates", "Proposed again", columns, pairs)]


def environment(facts: SweepFacts) -> list[Block]:
    """The data, what each run was made with, and the sweep file."""
    spec = facts.result.spec
    rows = [
        ["data set", facts.data_name],
        ["fingerprint", facts.fingerprint or "not known: the space was not discovered"],
        ["space", " ".join([spec.space.file.name, spec.space.object or ""]).strip()],
        ["seed", str(spec.seed)],
        ["precision", spec.precision],
    ]
    runs = [_run(place, run, len(facts.runs)) for place, run in enumerate(facts.runs, start=1)]
    unknown = Text("What it ran on was not recorded: the sweep is older than that record, or did not begin.")
    return [
        Table(key="data", title="Data and space", columns=["what", "is"], rows=rows),
        *runs,
        *([] if runs else [unknown]),
        Code(label="The resolved sweep file", text=spec.masked().to_yaml(), folded=True),
    ]


def _failed(facts: SweepFacts, which: pd.Series, key: str, title: str) -> Table:
    rows = facts.result.trials.filter(pa.array(which)).to_pylist()
    cells = [[row[name] for name in ("trial", "failure", "epochs", "reason")] for row in rows]
    return _table(key, title, ["trial", "kind", "epochs", "reason"], cells)


def _table(key: str, title: str, columns: list[str], rows: list[list[Any]]) -> Table:
    return Table(key=key, title=title, columns=columns, rows=rows, folded=len(rows) > _UNFOLDED)


def _run(place: int, run: Mapping[str, Any], runs: int) -> Table:
    nodes = [
        f"{node['cpus']:g} CPUs, {node['gpus']:g} GPUs, {node['memory_gb']} GB" for node in run["cluster"]
    ]
    rows = [
        ["started", run["started"]],
        ["driver", f"{run['processor']}, {run['cores']} cores, {run['memory_gb']} GB"],
        ["system", f"{run['platform']}, Python {run['python']}"],
        ["Ray nodes", "; ".join(f"{nodes.count(kind)} of {kind}" for kind in dict.fromkeys(nodes))],
        *([name, version] for name, version in run["versions"].items()),
    ]
    title = f"Run {place} of {runs}" if runs > 1 else "Machine and versions"
    return Table(key=f"run-{place}", title=title, columns=["what", "is"], rows=rows, folded=place < runs)


def _one_line(text: str | None) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in json.loads(text or "{}").items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
