"""The Pareto front of a sweep with several objectives: trials than which none is better in everything."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fer_ray.objective import Objective, values_in
from fer_ray.results.tables import VALUE_PREFIX

_COLUMNS = ("trial", "state", "best_epoch", "epochs", "seconds", "parameters", "latency_ms")


def pareto_front(trials: pa.Table, objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """Those trials to which no other is equal or better in every objective and better in one.

    Left out are failed trials and those without a finite value of each objective. Trials that are running or were
    stopped early take part with what they have reached.

    Args:
        trials: A trial table (`fer_ray.results.tables`).
        objectives: What the values are of and which are better.

    Returns:
        Rows with trial, state, best_epoch, epochs, seconds, parameters, latency_ms, values (by metric) and
        hyperparameters (a dict); the best in the first objective first, ties by the others and then by number.
    """
    signs = [-1 if objective.mode == "max" else 1 for objective in objectives]
    judged = []
    for row in trials.to_pylist():
        named = {objective.metric: row.get(f"{VALUE_PREFIX}{objective.metric}") for objective in objectives}
        values = values_in(named, objectives)
        if row["state"] != "FAIL" and values is not None:
            costs = [sign * value for sign, value in zip(signs, values.values(), strict=True)]
            judged.append((costs, row["trial"], row, values))
    front: list[tuple[list[float], dict[str, Any]]] = []
    # In this order none is dominated by one that comes later.
    for costs, _, row, values in sorted(judged, key=lambda each: each[:2]):
        if not any(_dominates(better, costs) for better, _ in front):
            front.append((costs, _row(row, values)))
    return [row for _, row in front]


def _dominates(one: list[float], other: list[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _row(row: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _COLUMNS},
        "values": values,
        "hyperparameters": json.loads(row["hyperparameters"] or "{}"),
    }
