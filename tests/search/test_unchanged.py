"""What a resumed sweep may change, and what it may not: by hand in its folder, or through its data."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import SweepError
from fer_ray.search import SweepSpec, resume, run

pytestmark = pytest.mark.ray

SPACE = """
import keras


def build(hp):
    layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 4, 64)), keras.layers.Dense(7, "softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""

CHANGED = {
    "objective": {"metric": "val_loss", "mode": "min"},
    "scheduler": {"kind": "asha", "eta": 4, "grace": 1, "max_epochs": 2},
    "searcher": {"kind": "random", "random_share": 0.5},
    "seed": 7,
    "precision": "mixed_bfloat16",
    "study": "another",
}
KEYS = {"objective": "objective.metric", "scheduler": "scheduler.eta", "searcher": "searcher.random_share"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, ray_cluster):
    """The folder of a sweep that has ended, beside its data."""
    folder = tmp_path_factory.mktemp("made")
    write_synthetic(folder / "data", images=200, size=16)
    (folder / "small.py").write_text(SPACE)
    content = {
        "name": "sweep",
        "data": str(folder / "data"),
        "space": {"file": str(folder / "small.py")},
        "searcher": {"kind": "random"},
        "scheduler": {"kind": "asha", "eta": 3, "grace": 1, "max_epochs": 2},
        "max_trials": 1,
        "folder": str(folder / "sweeps"),
        "model": {"register_winner": False},
    }
    return run(SweepSpec.parse(content)).path


def edit(sweep: Path, **changes) -> None:
    file = sweep / "sweep.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "sweeps" / "sweep"))


@pytest.mark.parametrize("key", CHANGED)
def test_what_makes_trials_comparable_may_not_change(copy, key):
    edit(copy, **{key: CHANGED[key]})
    before = (copy / "epochs.jsonl").read_bytes()
    with pytest.raises(SweepError, match="must stay as it was when the sweep was made") as caught:
        resume(copy)
    assert caught.value.where == f"sweep {copy}: {KEYS.get(key, key)}"
    assert (copy / "epochs.jsonl").read_bytes() == before


def test_the_space_may_not_change(copy):
    with (copy / "space.py").open("a") as file:
        file.write("# not as it was\n")
    with pytest.raises(SweepError, match=r"space\.file: must stay as it was"):
        resume(copy)


def test_the_data_may_move_but_not_change(copy, tmp_path):
    moved = tmp_path / "data"
    write_synthetic(moved, images=200, size=16)
    edit(copy, data=str(moved))
    assert resume(copy, max_trials=2).trials.num_rows == 2
    shutil.rmtree(moved)
    write_synthetic(moved, images=210, size=16)
    with pytest.raises(SweepError, match="data: must stay as it was"):
        resume(copy, max_trials=3)


def test_a_study_that_lacks_the_journals_trials_is_refused(copy):
    (copy / "study.journal").unlink()
    with pytest.raises(SweepError, match="must have all trials of the sweep's journal"):
        resume(copy)


def test_budgets_limits_and_places_may_change(copy):
    edit(copy, max_trials=3, epoch_budget=50, limits={"epoch": "5m"}, retries=5, concurrency=1)
    result = resume(copy, time_budget="5m", concurrency=2)
    assert result.trials.num_rows == 3
    assert (result.spec.concurrency, result.spec.retries, result.spec.time_budget) == (2, 5, 300)


def test_a_sweep_made_before_this_was_kept_goes_on(copy):
    file = copy / "space.json"
    found = json.loads(file.read_text())
    del found["fixed"]
    file.write_text(json.dumps(found))
    assert resume(copy, max_trials=2).trials.num_rows == 2
