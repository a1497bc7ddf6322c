"""A sweep's results in pandas, from disk and from an object store."""

import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fer_ray.errors import DataError
from fer_ray.results import EpochJournal, epochs_table, load, trials_table, write_tables

EPOCHS = [
    {"trial": trial, "epoch": epoch, "seconds": 1.5, "val_accuracy": 0.1 * epoch, "learning_rate": 0.01}
    for trial in (0, 1)
    for epoch in (1, 2)
]
TRIALS = [
    {
        "trial": 0,
        "state": "COMPLETE",
        "value": 0.2,
        "best_epoch": 2,
        "epochs": 2,
        "values": {"val_accuracy": 0.2, "parameters": 10},
        "hyperparameters": {"units": 2**53 + 1, "optimizer": "adam", "augment": True},
    },
    {
        "trial": 1,
        "state": "FAIL",
        "failure": "training",
        "hyperparameters": {"optimizer": "sgd", "rate": 0.5},
    },
]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / "faces"
    write_tables(folder, trials_table(TRIALS), epochs_table(EPOCHS))
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"name": "faces", "seed": 3}))
    (folder / "space.json").write_text(json.dumps({"data": "ab" * 32}))
    (folder / "outcome.json").write_text(json.dumps({"ended": "max_trials"}))
    journal = EpochJournal(folder / "epochs.jsonl")
    for row in [*EPOCHS, {"trial": 0, "advanced": True}, EPOCHS[0]]:
        journal.append(row)
    return folder


def check(found):
    trials, epochs = found.trials, found.epochs
    assert trials.dtypes.astype(str).to_dict() == {
        "trial": "int64",
        "state": "string",
        "value": "float64",
        "best_epoch": "Int64",
        "epochs": "Int64",
        "objective": "string",
        "failure": "string",
        "reason": "string",
        "seconds": "float64",
        "parameters": "Int64",
        "latency_ms": "float64",
        "started": "datetime64[us, UTC]",
        "ended": "datetime64[us, UTC]",
        "hyperparameters": "string",
        "value.val_accuracy": "float64",
        "value.parameters": "float64",
        "hp.units": "Int64",
        "hp.optimizer": "string",
        "hp.augment": "boolean",
        "hp.rate": "float64",
    }
    assert trials["hp.units"].tolist() == [2**53 + 1, pd.NA]
    assert trials["hp.augment"].isna().tolist() == [False, True]
    assert epochs[["trial", "epoch"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert str(epochs.dtypes["timestamp"]) == "datetime64[us, UTC]"
    assert epochs["learning_rate"].dtype == epochs["val_accuracy"].dtype == "float64"


def test_frames_are_typed_and_the_sweep_is_described(sweep):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load(sweep)
    check(found)
    assert (found.sweep, found.space) == ({"name": "faces", "seed": 3}, {"data": "ab" * 32})
    assert found.outcome == {"ended": "max_trials"}


def test_every_column_is_documented(sweep):
    found = load(str(sweep))
    columns = found.columns.set_index(["table", "column"])
    expected = [("trials", name) for name in found.trials] + [("epochs", name) for name in found.epochs]
    assert columns.index.tolist() == expected
    assert columns.meaning.str.len().gt(5).all()
    assert columns.loc[("trials", "failure"), "meaning"].startswith("of a failed trial: the kind")
    assert columns.loc[("trials", "hp.rate")].tolist() == ["float64", "hyperparameter rate"]
    assert columns.loc[("trials", "value.parameters"), "meaning"] == "parameters at the best epoch"
    assert columns.loc[("epochs", "learning_rate"), "meaning"] == "a further metric"


def test_copied_tables_alone_are_enough(tmp_path):
    write_tables(tmp_path / "tables", trials_table(TRIALS), epochs_table(EPOCHS))
    found = load(tmp_path / "tables")
    check(found)
    assert found.sweep is found.space is found.outcome is None


def test_tables_that_lack_epochs_warn(sweep):
    journal = EpochJournal(sweep / "epochs.jsonl")
    journal.append({**EPOCHS[-1], "epoch": 3})
    with pytest.warns(UserWarning, match=r"lack 1 of the epochs.*`fer-ray sweep results .*faces`"):
        assert len(load(sweep).epochs) == 4


def test_a_sweep_without_tables_says_what_writes_them(sweep, tmp_path):
    (sweep / "trials.parquet").unlink()
    with pytest.raises(DataError, match=r"no trials.parquet.*`fer-ray sweep results .*faces` writes them"):
        load(sweep)
    with pytest.raises(DataError, match="Give the folder of a sweep"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [("outcome.json", "{"), ("sweep.yaml", "a: ["), ("space.json", "[1]"), ("epochs.jsonl", "{\n")],
)
def test_a_damaged_file_is_named(sweep, file, content):
    (sweep / file).write_text(content)
    with pytest.raises(DataError, match=file):
        load(sweep)


def test_a_scheme_that_pyarrow_does_not_know():
    with pytest.raises(DataError, match="must be a path or a URI"):
        load("ftps://user:secret@host/sweep")


def test_an_object_store(sweep, upload, bucket):
    address = upload(sweep)
    found = load(address.replace("s3://", "s3://reader:very-secret@"))
    check(found)
    assert found.path == address.partition("?")[0]
    assert found.outcome == {"ended": "max_trials"}
    pd.testing.assert_frame_equal(found.epochs, load(sweep).epochs)
    EpochJournal(sweep / "epochs.jsonl").append({**EPOCHS[-1], "epoch": 3})
    own_folder = r"`fer-ray sweep results FOLDER`, with the sweep's own folder, of which this is a copy,"
    with pytest.warns(UserWarning, match=f"{own_folder} brings them up to date"):
        load(upload(sweep))
    (sweep / "trials.parquet").unlink()
    with pytest.raises(DataError, match=f"{own_folder} writes them"):
        load(upload(sweep.rename(sweep.with_name("bare"))))
    with pytest.raises(DataError, match=r"s3://.*/nothing: must hold the tables of a sweep"):
        load(bucket("nothing"))
    with pytest.raises(DataError, match=r"must be readable|must hold the tables"):
        load(bucket("nothing").replace("s3://", "s3://no-such-"))
