"""The trial and epoch tables, in Arrow, Parquet and pandas."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest

from fer_ray.errors import DataError
from fer_ray.results import epochs_table, read_tables, trials_table, write_tables
from fer_ray.results.tables import EPOCH_SCHEMA, TRIAL_SCHEMA

NOON = datetime(2026, 1, 2, 12, 0, 0, 250_000, tzinfo=UTC)
EPOCHS = [
    {
        "trial": 1,
        "epoch": 1,
        "timestamp": NOON,
        "seconds": 1.5,
        "worker": "a",
        "loss": 0.5,
        "val_accuracy": 0.4,
    },
    {"trial": 0, "epoch": 2, "loss": math.nan, "learning_rate": 0.01},
    {"trial": 0, "epoch": 1, "loss": math.inf},
]
TRIALS = [
    {
        "trial": 1,
        "state": "FAIL",
        "reason": "ran out of memory",
        "hyperparameters": {"model": "mlp", "rate": 1, "bn": True, "mixed": 3},
    },
    {
        "trial": 0,
        "state": "COMPLETE",
        "value": 0.61,
        "best_epoch": 4,
        "epochs": 9,
        "objective": "val_accuracy",
        "seconds": 12.5,
        "parameters": 1_150_000,
        "started": NOON,
        "ended": NOON + timedelta(seconds=20),
        "hyperparameters": {"model": "cnn", "rate": 0.5, "cnn/depth": 4, "mixed": "three"},
    },
]


def test_the_epoch_table_is_ordered_typed_and_has_further_metrics():
    table = epochs_table(EPOCHS)
    assert table.schema.names == [*EPOCH_SCHEMA.names, "learning_rate"]
    assert table.select(["trial", "epoch"]).to_pylist() == [
        {"trial": 0, "epoch": 1},
        {"trial": 0, "epoch": 2},
        {"trial": 1, "epoch": 1},
    ]
    assert table.schema.field("val_balanced_accuracy").type == pa.float64()
    assert table["learning_rate"].to_pylist() == [None, 0.01, None]
    assert table["timestamp"].to_pylist()[2] == NOON


def test_nan_is_a_measured_value_and_null_is_none():
    loss = epochs_table(EPOCHS)["loss"]
    assert loss.null_count == 0
    assert loss[0].as_py() == math.inf
    assert math.isnan(loss[1].as_py())
    assert epochs_table(EPOCHS)["val_accuracy"].null_count == 2


def test_an_epoch_trained_again_replaces_its_former_row():
    table = epochs_table([*EPOCHS, {"trial": 0, "epoch": 1, "loss": 0.25}])
    assert table.num_rows == 3
    assert table["loss"][0].as_py() == 0.25


def test_the_trial_table_has_one_typed_column_per_hyperparameter():
    table = trials_table(TRIALS)
    assert table["trial"].to_pylist() == [0, 1]
    assert table.schema.names[: len(TRIAL_SCHEMA)] == TRIAL_SCHEMA.names
    types = {field.name: str(field.type) for field in table.schema if field.name.startswith("hp.")}
    assert types == {
        "hp.model": "string",
        "hp.rate": "double",
        "hp.cnn/depth": "int64",
        "hp.mixed": "string",
        "hp.bn": "bool",
    }
    assert table["hp.mixed"].to_pylist() == ['"three"', "3"]
    assert table["hp.cnn/depth"].to_pylist() == [4, None]
    assert json.loads(table["hyperparameters"][1].as_py()) == TRIALS[0]["hyperparameters"]


def test_every_column_says_what_it_means():
    for schema in (EPOCH_SCHEMA, TRIAL_SCHEMA):
        assert all(field.metadata[b"description"] for field in schema)


def test_empty_tables_have_their_columns():
    assert epochs_table([]).schema == EPOCH_SCHEMA
    assert trials_table([]).schema == TRIAL_SCHEMA


def test_written_tables_come_back_equal_and_pandas_opens_them_in_one_line(tmp_path):
    trials, epochs = trials_table(TRIALS), epochs_table(EPOCHS)
    write_tables(tmp_path, trials, epochs)
    read_trials, read_epochs = read_tables(tmp_path)
    assert read_trials.equals(trials, check_metadata=True)
    # NaN is not equal to itself, so the epoch table is compared by its text.
    assert read_epochs.schema.equals(epochs.schema, check_metadata=True)
    assert repr(read_epochs.to_pylist()) == repr(epochs.to_pylist())
    frame = pd.read_parquet(tmp_path / "trials.parquet")
    assert frame.loc[0, "hp.model"] == "cnn"
    assert frame.loc[0, "ended"] - frame.loc[0, "started"] == pd.Timedelta(seconds=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.parquet", "trials.parquet"]


def test_a_column_that_an_older_version_did_not_write_is_null(tmp_path):
    write_tables(tmp_path, trials_table(TRIALS).drop_columns(["latency_ms"]), epochs_table(EPOCHS))
    trials, _ = read_tables(tmp_path)
    assert trials["latency_ms"].to_pylist() == [None, None]
    assert trials.schema.field("latency_ms").type == pa.float64()


def test_several_objectives_have_a_column_each():
    rows = [
        {"trial": 0, "state": "COMPLETE", "values": {"val_loss": 1, "parameters": 10}},
        {"trial": 1, "state": "FAIL"},
    ]
    table = trials_table(rows)
    assert table.schema.names[len(TRIAL_SCHEMA) :] == ["value.val_loss", "value.parameters"]
    assert table["value.parameters"].to_pylist() == [10.0, None]


def test_tables_that_are_written_again_replace_the_old(tmp_path):
    write_tables(tmp_path, trials_table(TRIALS), epochs_table(EPOCHS))
    write_tables(tmp_path, trials_table(TRIALS[:1]), epochs_table([]))
    trials, epochs = read_tables(tmp_path)
    assert (trials.num_rows, epochs.num_rows) == (1, 0)


def test_times_of_other_zones_are_kept_as_utc():
    local = NOON.astimezone(timezone(timedelta(hours=5)))
    (row,) = epochs_table([{"trial": 0, "epoch": 1, "timestamp": local}]).to_pylist()
    assert row["timestamp"] == NOON
    assert row["timestamp"].utcoffset() == timedelta(0)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no table PAR1"])
def test_missing_or_damaged_files_are_one_clear_error(tmp_path, content):
    write_tables(tmp_path, trials_table(TRIALS), epochs_table(EPOCHS))
    if content is None:
        (tmp_path / "trials.parquet").unlink()
    else:
        (tmp_path / "trials.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"trials\.parquet"):
        read_tables(tmp_path)


def test_a_table_of_another_kind_is_refused(tmp_path):
    write_tables(tmp_path, epochs_table(EPOCHS), epochs_table(EPOCHS))
    with pytest.raises(DataError, match="lacks columns"):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"state": "COMPLETE"}], "row's trial"),
        ([{"trial": True, "state": "COMPLETE"}], "row's trial"),
        ([{"trial": 0}], "state must be one of"),
        ([{"trial": 0, "state": "TERMINATED"}], "'TERMINATED'"),
        ([{"trial": 0, "state": "FAIL", "accuracy": 1}], "'accuracy'"),
        ([{"trial": 0, "state": "FAIL"}, {"trial": 0, "state": "FAIL"}], "trial 0 twice"),
        ([{"trial": 0, "state": "FAIL", "value": "high"}], "column value"),
        ([{"trial": 0, "state": "FAIL", "hyperparameters": {"x": math.nan}}], "must be JSON"),
    ],
)
def test_wrong_trial_rows_are_refused(rows, said):
    with pytest.raises(DataError, match=said):
        trials_table(rows)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"trial": 0}, "row's epoch"),
        ({"trial": 0, "epoch": 0}, "row's epoch"),
        ({"trial": -1, "epoch": 1}, "row's trial"),
        ({"trial": 0, "epoch": 1, "f1": "high"}, "column f1"),
    ],
)
def test_wrong_epoch_rows_are_refused(row, said):
    with pytest.raises(DataError, match=said):
        epochs_table([row])
