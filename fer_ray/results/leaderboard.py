"""The best trials of a sweep."""

import json
import math
from typing import Any

import pyarrow as pa

from fer_ray.errors import ConfigError
from fer_ray.objective import Objective

_COLUMNS = ("trial", "state", "value", "best_epoch", "epochs", "seconds", "parameters", "latency_ms")


def leaderboard(trials: pa.Table, objective: Objective, n: int = 10) -> list[dict[str, Any]]:
    """The best trials, best first.

    Left out are failed trials and those without a finite value. Trials that are running or were stopped early
    take part with their best value so far. Ties go to fewer epochs, then to the lower number.

    Args:
        trials: A trial table (`fer_ray.results.tables`).
        objective: What the values are of and which are better.
        n: At most so many rows, at least 1.

    Returns:
        Rows with rank (from 1), trial, state, value, best_epoch, epochs, seconds, parameters, latency_ms and
        hyperparameters (a dict).

    Raises:
        ConfigError: If `n` is below 1 or the table's values are of another metric.
    """
    if n < 1:
        raise ConfigError("leaderboard", "n must be at least 1", str(n))
    other = set(trials["objective"].drop_null().to_pylist()) - {objective.metric}
    if other:
        rule = f"the values must be of the metric {objective.metric}"
        raise ConfigError("leaderboard", rule, ", ".join(sorted(other)))
    sign = -1 if objective.mode == "max" else 1
    ranked = [row for row in trials.to_pylist() if row["state"] != "FAIL" and _finite(row["value"])]
    ranked.sort(key=lambda row: (sign * row["value"], _or_infinite(row["epochs"]), row["trial"]))
    return [
        {
            "rank": rank,
            **{name: row[name] for name in _COLUMNS},
            "hyperparameters": json.loads(row["hyperparameters"] or "{}"),
        }
        for rank, row in enumerate(ranked[:n], start=1)
    ]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _or_infinite(epochs: int | None) -> float:
    return math.inf if epochs is None else epochs
