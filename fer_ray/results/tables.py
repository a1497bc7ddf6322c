"""The two tables of a sweep in Arrow: one row per epoch, one row per trial.

Both are Parquet files that pandas opens in one line: ``pandas.read_parquet("trials.parquet")``.

Missing is null; a metric that was measured and came out as NaN or infinite stays NaN or infinite (pandas shows
null and NaN alike, Arrow does not).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from fer_ray.errors import DataError
from fer_ray.files import write_atomically

#: Every way in which a trial can stand.
STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
#: The prefix of the columns with one hyperparameter each.
HYPERPARAMETER_PREFIX = "hp."
#: The prefix of the columns with one objective each, where a sweep has several.
VALUE_PREFIX = "value."
#: The metrics that every epoch table has a column for.
METRICS = ("loss", "accuracy", "macro_f1", "balanced_accuracy")

_TIME = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, meaning: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": meaning})


EPOCH_SCHEMA = pa.schema(
    [
        _field("trial", pa.int64(), "number of the trial, Optuna's", nullable=False),
        _field("epoch", pa.int64(), "number of the epoch in its trial, from 1", nullable=False),
        _field("timestamp", _TIME, "when the epoch ended, UTC"),
        _field("seconds", pa.float64(), "seconds of training and validation in this epoch"),
        _field("worker", pa.string(), "the worker that trained it"),
        *(_field(name, pa.float64(), f"{name} on the training split") for name in METRICS),
        *(_field(f"val_{name}", pa.float64(), f"{name} on the validation split") for name in METRICS),
    ]
)

TRIAL_SCHEMA = pa.schema(
    [
        _field("trial", pa.int64(), "number of the trial, Optuna's", nullable=False),
        _field("state", pa.string(), f"one of {', '.join(STATES)}; PRUNED is stopped early", nullable=False),
        _field("value", pa.float64(), "the objective, the primary one, at the best epoch"),
        _field("best_epoch", pa.int64(), "the epoch of the value, from 1"),
        _field("epochs", pa.int64(), "epochs trained"),
        _field("objective", pa.string(), "the metric that value is of"),
        _field("failure", pa.string(), "of a failed trial: the kind, such as training, diverged or worker"),
        _field("reason", pa.string(), "why it failed or was stopped"),
        _field("seconds", pa.float64(), "seconds of training over all epochs"),
        _field("parameters", pa.int64(), "trainable and other weights of the model"),
        _field("latency_ms", pa.float64(), "milliseconds of one image where it was trained, if measured"),
        _field("started", _TIME, "start of its first epoch, UTC"),
        _field("ended", _TIME, "end of its last epoch, UTC"),
        _field("hyperparameters", pa.string(), "the active hyperparameters as JSON"),
    ]
)

#: The names of the two files.
TRIALS_FILE, EPOCHS_FILE = "trials.parquet", "epochs.parquet"


def epochs_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The epoch table: `EPOCH_SCHEMA`, then a float64 column for each further metric, by name.

    Args:
        rows: Keys of `EPOCH_SCHEMA` and further metrics; what is left out is null. An epoch that was trained
            again, after a resume from an earlier checkpoint, replaces its former row.

    Returns:
        A table in the order of trial and epoch.

    Raises:
        DataError: If trial or epoch is missing, or a value has the wrong type.
    """
    kept = {(_whole(row, "trial"), _whole(row, "epoch")): row for row in rows}
    ordered = [kept[key] for key in sorted(kept)]
    further = sorted({name for row in ordered for name in row} - set(EPOCH_SCHEMA.names))
    schema = pa.schema([*EPOCH_SCHEMA, *(_field(name, pa.float64(), "a further metric") for name in further)])
    return _table(ordered, schema, "epoch table")


def trials_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The trial table: `TRIAL_SCHEMA`, then columns ``value.<metric>`` of objectives and ``hp.<name>``.

    Args:
        rows: Keys of `TRIAL_SCHEMA`, with ``hyperparameters`` as a mapping of the active ones. Where a sweep has
            several objectives also ``values``, a mapping of each one's value at the best epoch, float64. The column
            of a hyperparameter is int64, float64 (also where integers and floats mix), bool or string; where other
            types mix under one name, it has the JSON text of each value.

    Returns:
        A table in the order of trials; hyperparameters in the order of first appearance.

    Raises:
        DataError: If trial or state is missing, a trial comes twice, or a key or state is unknown.
    """
    ordered = sorted(rows, key=lambda row: _whole(row, "trial"))
    for row, following in pairwise(ordered):
        if row["trial"] == following["trial"]:
            raise DataError("trial table", "each trial must have one row", f"trial {row['trial']} twice")
    for row in ordered:
        _check_trial(row)
    chosen, reached = ([dict(row.get(key) or {}) for row in ordered] for key in ("hyperparameters", "values"))
    texts = [{**row, "hyperparameters": _json(values)} for row, values in zip(ordered, chosen, strict=True)]
    table = _table(texts, TRIAL_SCHEMA, "trial table")
    for name in dict.fromkeys(name for values in reached for name in values):
        column = pa.array([values.get(name) for values in reached], pa.float64())
        table = table.append_column(f"{VALUE_PREFIX}{name}", column)
    for name in dict.fromkeys(name for values in chosen for name in values):
        column = _hyperparameter_column([values.get(name) for values in chosen])
        table = table.append_column(f"{HYPERPARAMETER_PREFIX}{name}", column)
    return table


def write_tables(folder: Path, trials: pa.Table, epochs: pa.Table) -> None:
    """Writes ``trials.parquet`` and ``epochs.parquet``, each whole or not there.

    Raises:
        OSError: If the disk refuses; the files from before are then still in place.
    """
    for table, name in ((epochs, EPOCHS_FILE), (trials, TRIALS_FILE)):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_atomically(folder / name, sink.getvalue().to_pybytes())


def read_tables(
    folder: str | Path, filesystem: pyarrow.fs.FileSystem | None = None
) -> tuple[pa.Table, pa.Table]:
    """Reads what `write_tables` wrote.

    Args:
        folder: With both files.
        filesystem: On which the folder is; the local one if None.

    Returns:
        The trial table and the epoch table.

    Raises:
        DataError: If a file is missing, damaged, or not of this kind.
    """
    return (
        _read(f"{folder}/{TRIALS_FILE}", TRIAL_SCHEMA, filesystem),
        _read(f"{folder}/{EPOCHS_FILE}", EPOCH_SCHEMA, filesystem),
    )


def _read(path: str, schema: pa.Schema, filesystem: pyarrow.fs.FileSystem | None) -> pa.Table:
    try:
        with pq.ParquetFile(path, filesystem=filesystem) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(path, "must be a Parquet file of a sweep", str(error)) from error
    missing = [field for field in schema if table.schema.get_field_index(field.name) < 0]
    if odd := [field.name for field in missing if not field.nullable]:
        raise DataError(path, "lacks columns of its table", repr(odd))
    for field in missing:  # Written before there was such a column.
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table


def _whole(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < (key == "epoch"):
        raise DataError(f"a row's {key}", "must be a whole number, an epoch from 1", repr(value))
    return value


def _check_trial(row: Mapping[str, Any]) -> None:
    where = f"trial {row['trial']}"
    if row.get("state") not in STATES:
        raise DataError(where, f"state must be one of {list(STATES)}", repr(row.get("state")))
    if unknown := sorted(set(row) - {*TRIAL_SCHEMA.names, "values"}):
        raise DataError(where, f"columns must be of {TRIAL_SCHEMA.names}", repr(unknown))


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, where: str) -> pa.Table:
    arrays = []
    for field in schema:
        try:
            arrays.append(pa.array([row.get(field.name) for row in rows], type=field.type))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"{where}, column {field.name}", f"values must be {field.type}", str(error)
            ) from error
    return pa.table(arrays, schema=schema)


def _json(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError("trial table", "hyperparameters must be JSON", f"{values!r} ({error})") from error


def _hyperparameter_column(values: Sequence[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [None if value is None else json.dumps(value) for value in values]
    return pa.array(values)
