"""Recorded learning curves, from which a sweep can be simulated.

A table has one row per configuration and epoch, with the columns

- ``configuration``: a whole number, the same for all epochs of one configuration;
- ``epoch``: from 1, without gaps;
- ``seconds``: from the trial's start to the end of this epoch, growing;
- one column per metric, such as ``val_accuracy``; NaN where training has diverged;
- ``hp.<name>``: one column per hyperparameter, the same in all rows of a configuration; null where inactive.

The space lies in the file's metadata under ``space``, as Keras Tuner's JSON; without it, ranges are taken from the
columns: numbers from the least to the greatest value, all else as unordered choices.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_ray.errors import DataError
from fer_ray.results.tables import HYPERPARAMETER_PREFIX
from fer_ray.spaces import Space, Values
from fer_ray.spaces.coordinates import Coordinates

#: The key of the space in a table's metadata.
SPACE_KEY = b"space"


@dataclass(frozen=True)
class Curve:
    """What training a configuration shows.

    Args:
        values: The objective after each epoch, (epochs,); NaN where it diverged.
        seconds: Of each epoch, (epochs,), positive.
    """

    values: Sequence[float] | NDArray[np.float64]
    seconds: Sequence[float] | NDArray[np.float64]


class RecordedCurves:
    """Curves of any configuration of a space, from those that were recorded.

    A configuration's curve is the mean of its nearest recorded neighbours', weighted by one over their distance;
    so a recorded configuration has its own. Where the nearest one diverged, it diverges.

    Args:
        table: See the module.
        metric: The column of the objective.
        neighbours: How many are taken; 1 gives recorded curves only.

    Raises:
        DataError: If the table lacks a column or breaks a rule.
    """

    def __init__(self, table: pa.Table, metric: str, neighbours: int = 3) -> None:
        from scipy.spatial import KDTree

        for column in ("configuration", "epoch", "seconds", metric):
            if column not in table.column_names:
                raise DataError("curves", f"must have a column {column}", str(table.column_names))
        rows = sorted(table.to_pylist(), key=lambda row: (row["configuration"], row["epoch"]))
        grouped: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            grouped.setdefault(row["configuration"], []).append(row)
        self.space = _space_of(table)
        self.epochs = max(len(group) for group in grouped.values())
        self.configurations = [_configuration(group[0]) for group in grouped.values()]
        self._curves = [_curve(group, metric, self.epochs) for group in grouped.values()]
        self._point = Coordinates(self.space)
        points = np.array([self._point(values) for values in self.configurations])
        self._tree = KDTree(points)
        self._nearest = list(range(1, min(neighbours, len(points)) + 1))

    def curve(self, values: Values) -> Curve:
        """The curve of a configuration."""
        distances, places = self._tree.query(self._point(values), k=self._nearest)
        near = [self._curves[place] for place in places]
        weights = 1 / np.maximum(distances, 1e-9)
        weights /= weights.sum()
        seconds = np.einsum("i,ie->e", weights, np.array([curve.seconds for curve in near]))
        whole = [index for index, curve in enumerate(near) if np.isfinite(curve.values).all()]
        if 0 not in whole:
            return Curve(near[0].values, seconds)
        values_near = np.array([near[index].values for index in whole])
        return Curve(np.average(values_near, axis=0, weights=weights[whole]), seconds)


def read_curves(path: str | Path, metric: str, neighbours: int = 3) -> RecordedCurves:
    """Reads a table of curves.

    Raises:
        DataError: If it is no Parquet file or breaks a rule of the module.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(str(path), "must be a Parquet file of curves", str(error).rstrip(".")) from error
    return RecordedCurves(table, metric, neighbours)


def write_curves(path: Path, rows: list[dict[str, Any]], space: dict[str, Any]) -> None:
    """Writes a table of curves.

    Args:
        path: The file.
        rows: Keys as the columns in the module; what is left out is null.
        space: As `HyperParameters.get_config()` gives it.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    pq.write_table(table.replace_schema_metadata({SPACE_KEY: json.dumps(space)}), path, compression="zstd")


def _configuration(row: dict[str, Any]) -> Values:
    found = {key: value for key, value in row.items() if key.startswith(HYPERPARAMETER_PREFIX)}
    return {
        key.removeprefix(HYPERPARAMETER_PREFIX): value for key, value in found.items() if value is not None
    }


def _curve(rows: list[dict[str, Any]], metric: str, epochs: int) -> Curve:
    where = f"curves, configuration {rows[0]['configuration']}"
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        raise DataError(where, "epochs must be 1, 2, 3 and so on", str([row["epoch"] for row in rows]))
    seconds = np.diff([0.0, *(row["seconds"] for row in rows)])
    if not (seconds > 0).all():
        raise DataError(where, "seconds must grow from epoch to epoch", str([row["seconds"] for row in rows]))
    values = np.array([np.nan if row[metric] is None else row[metric] for row in rows], np.float64)
    # One that ended early has diverged: nothing is known of its later epochs.
    missing = epochs - len(rows)
    return Curve(
        np.concatenate([values, np.full(missing, np.nan)]),
        np.concatenate([seconds, np.full(missing, seconds[-1])]),
    )


def _space_of(table: pa.Table) -> Space:
    metadata = table.schema.metadata or {}
    if SPACE_KEY in metadata:
        return Space.from_config(json.loads(metadata[SPACE_KEY]))
    names = [name for name in table.column_names if name.startswith(HYPERPARAMETER_PREFIX)]
    if not names:
        raise DataError("curves", f"must have columns {HYPERPARAMETER_PREFIX}<name>", str(table.column_names))
    entries = [_entry(name.removeprefix(HYPERPARAMETER_PREFIX), table[name].to_pylist()) for name in names]
    return Space.from_config({"space": entries, "values": {}})


def _entry(name: str, column: list[Any]) -> dict[str, Any]:
    if None in column:
        rule = "has nulls, so it is conditional; the table's metadata must then have the space"
        raise DataError(f"curves, column {HYPERPARAMETER_PREFIX}{name}", rule)
    kinds = {type(value) for value in column}
    if kinds <= {int, float} and min(column) < max(column):
        kind = "Int" if kinds == {int} else "Float"
        config: dict[str, Any] = {"min_value": min(column), "max_value": max(column), "sampling": "linear"}
        config["step"] = 1 if kind == "Int" else None
    else:
        kind, config = "Choice", {"values": sorted(set(column)), "ordered": False}
    return {"class_name": kind, "config": {"name": name, "default": None, "conditions": [], **config}}
