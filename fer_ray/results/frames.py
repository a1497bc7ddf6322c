"""A sweep's results in pandas, from this machine's disk or an object store, without Ray or Optuna."""

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from fer_ray.errors import DataError
from fer_ray.file_store import FileStore
from fer_ray.results.journal import records_in
from fer_ray.results.tables import HYPERPARAMETER_PREFIX, TRIALS_FILE, VALUE_PREFIX, read_tables

#: Columns may lack values: integers stay integers there, and text is never a NaN.
_DTYPES: dict[Any, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepFrames:
    """A sweep's tables, and what describes the sweep.

    Args:
        path: Where it was read, without access keys.
        trials: One row per trial. Numbers that may be missing are ``Int64`` and ``float64``, texts ``string``,
            times ``datetime64[us, UTC]``; `columns` has the meanings.
        epochs: One row per trained epoch, in the order of trial and epoch.
        columns: One row per column of both: ``table``, ``column``, ``dtype``, ``meaning``.
        sweep: The resolved sweep file as plain values; None where only the tables were copied.
        space: What was discovered: the space as Keras Tuner's JSON under ``space``, the data's fingerprint under
            ``data``. None as for `sweep`.
        outcome: How the last run ended; None if none has, or as for `sweep`.
    """

    path: str
    trials: pd.DataFrame = field(repr=False)
    epochs: pd.DataFrame = field(repr=False)
    columns: pd.DataFrame = field(repr=False)
    sweep: dict[str, Any] | None = field(repr=False)
    space: dict[str, Any] | None = field(repr=False)
    outcome: dict[str, Any] | None


def load(path: str | Path) -> SweepFrames:
    """Reads a sweep's results.

    Warns if the sweep has trained epochs that its tables lack, as while it runs.

    Args:
        path: The folder of a sweep, or one with the tables that ``fer-ray sweep results --parquet`` has copied. A
            path or a URI that pyarrow reads, such as ``s3://bucket/sweeps/faces``.

    Raises:
        DataError: If there are no tables, or a file is damaged or cannot be read.
    """
    files = _SweepFiles(FileStore.open(path, "sweep", DataError))
    files.require_tables()
    trials, epochs = read_tables(files.files.full(""), files.files.filesystem)
    _warn_of_newer_epochs(files, len(epochs))
    frames = {"trials": _frame(trials), "epochs": _frame(epochs)}
    columns = [
        row for name, table in (("trials", trials), ("epochs", epochs)) for row in _columns(name, table)
    ]
    for row in columns:
        row["dtype"] = str(frames[row["table"]][row["column"]].dtype)
    return SweepFrames(
        path=files.where,
        **frames,
        columns=pd.DataFrame(columns, columns=["table", "column", "dtype", "meaning"]),
        sweep=files.mapping("sweep.yaml"),
        space=files.mapping("space.json"),
        outcome=files.mapping("outcome.json"),
    )


@dataclass(frozen=True)
class _SweepFiles:
    """A sweep's folder on any filesystem."""

    files: FileStore

    @property
    def where(self) -> str:
        return self.files.where

    @property
    def command(self) -> str:
        """What makes the tables: from the study, which no copy on an object store has."""
        if self.files.is_local:
            return f"`fer-ray sweep results {self.files.local_path()}`"
        return "`fer-ray sweep results FOLDER`, with the sweep's own folder, of which this is a copy,"

    def read(self, name: str) -> bytes | None:
        """None where there is no such file."""
        try:
            return self.files.read(name)
        except OSError as error:
            raise DataError(f"{self.where}/{name}", "must be readable", str(error)) from error

    def mapping(self, name: str) -> dict[str, Any] | None:
        content = self.read(name)
        if content is None:
            return None
        try:
            found = json.loads(content) if name.endswith(".json") else yaml.safe_load(content)
        except (ValueError, yaml.YAMLError) as error:
            raise DataError(f"{self.where}/{name}", "must be whole", str(error)) from error
        if not isinstance(found, dict):
            raise DataError(f"{self.where}/{name}", "must be a mapping", type(found).__name__)
        return found

    def require_tables(self) -> None:
        try:
            (there,) = self.files.exists([TRIALS_FILE])
        except OSError as error:
            raise DataError(self.where, "must be readable", str(error)) from error
        if there:
            return
        is_sweep = self.read("sweep.yaml") is not None
        remedy = (
            f"{self.command} writes them, also of a sweep that runs or was killed"
            if is_sweep
            else "Give the folder of a sweep, such as sweeps/NAME"
        )
        raise DataError(self.where, "must hold the tables of a sweep", f"no {TRIALS_FILE}", remedy)


def _warn_of_newer_epochs(files: _SweepFiles, epochs: int) -> None:
    content = files.read("epochs.jsonl")
    records = records_in(content, f"{files.where}/epochs.jsonl") if content else []
    missing = len({(row["trial"], row["epoch"]) for row in records if "epoch" in row}) - epochs
    if missing > 0:
        text = f"{files.where}: its tables lack {missing} of the epochs that were trained."
        remedy = f"{files.command} brings them up to date."
        warnings.warn(f"{text} {remedy}", UserWarning, stacklevel=3)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_DTYPES.get)
    required = [each.name for each in table.schema if not each.nullable and each.type == pa.int64()]
    return frame.astype(dict.fromkeys(required, "int64"))


def _columns(name: str, table: pa.Table) -> list[dict[str, str]]:
    return [{"table": name, "column": each.name, "meaning": _meaning(each)} for each in table.schema]


def _meaning(column: pa.Field) -> str:
    if told := (column.metadata or {}).get(b"description"):
        return str(told.decode())
    for prefix, text in {
        VALUE_PREFIX: "{} at the best epoch",
        HYPERPARAMETER_PREFIX: "hyperparameter {}",
    }.items():
        if column.name.startswith(prefix):
            return text.format(column.name.removeprefix(prefix))
    return "a further metric"
