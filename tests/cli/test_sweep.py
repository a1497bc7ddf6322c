"""`fer-ray sweep run`, `results`, `list` and `resume`, as a person calls them, on a cluster of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fer_ray.data.synthetic import write_synthetic

pytestmark = pytest.mark.ray

SPACE = """
import keras
import keras_tuner


class Space(keras_tuner.HyperModel):
    def __init__(self, classes, input_shape, breaks=False):
        super().__init__()
        self.classes, self.input_shape, self.breaks = classes, input_shape, breaks

    def build(self, hp):
        model = keras.Sequential([
            keras.Input(self.input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 4, 64, step=4), activation="relu"),
            keras.layers.Dense(self.classes, activation="softmax"),
        ])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, **options):
        if self.breaks and len(x) > 100:
            raise ValueError("the disk of images has a hole")
        return model.fit(x, y, verbose=0, **options)
"""


def call(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fer_ray", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweeps")
    write_synthetic(path / "faces", images=400, size=16)
    (path / "space.py").write_text(SPACE)
    call("sweep", "init", "one.yaml", "--data", "faces", "--space", "space.py", cwd=path)
    return path


@pytest.fixture(scope="module")
def ran(folder: Path) -> dict:
    """What `sweep run --json` has printed."""
    arguments = ["--max-trials", "3", "--set", "scheduler.max_epochs=2", "--set", "scheduler.eta=2", "--json"]
    return json.loads(call("sweep", "run", "one.yaml", *arguments, cwd=folder).stdout)


def test_run_prints_outcome_and_leaderboard(ran):
    assert (ran["name"], ran["outcome"]["ended"]) == ("one", "max_trials")
    assert ran["outcome"]["model"].startswith("one:")
    values = [row["value"] for row in ran["leaderboard"]]
    assert len(values) == 3 and values == sorted(values, reverse=True)
    assert {row["trial"] for row in ran["leaderboard"]} == {0, 1, 2}


def test_results_shows_the_leaderboard_and_copies_the_tables(folder, ran):
    done = call("sweep", "results", "sweeps/one", "--parquet", "tables", cwd=folder)
    printed = " ".join(done.stdout.split())
    assert "one: best val_accuracy" in printed
    assert f"Winner registered as {ran['outcome']['model']}" in printed
    trials = pd.read_parquet(folder / "tables" / "trials.parquet")
    best = trials.loc[trials.value.idxmax()]
    assert best.value == ran["leaderboard"][0]["value"]
    assert trials["hp.units"].between(4, 64).all()
    assert set(pd.read_parquet(folder / "tables" / "epochs.parquet").trial) == {0, 1, 2}


def test_list_names_the_sweep(folder, ran):
    (row,) = json.loads(call("sweep", "list", "--json", cwd=folder).stdout)
    assert (row["name"], row["trials"], row["model"]) == ("one", 3, ran["outcome"]["model"])


def test_report_is_one_page_with_the_test_accuracy(folder, ran):
    printed = " ".join(call("sweep", "report", "sweeps/one", "--out", "page", cwd=folder).stdout.split())
    assert "Wrote page/report.html (4." in printed or "Wrote page/report.html (5." in printed
    assert "Train the best again: fer-ray sweep run page/reproduce.yaml" in printed
    page = (folder / "page" / "report.html").read_text()
    assert f"{ran['leaderboard'][0]['value']:.4f}" in page
    assert "of the test images right (95% interval" in page and "n = 40)" in page
    assert sorted(path.name for path in (folder / "page").iterdir()) == ["report.html", "reproduce.yaml"]
    refused = call("sweep", "report", "faces", cwd=folder, code=1)
    assert "must be the folder of a sweep" in " ".join(refused.stderr.split())


def test_resume_trains_more(folder, ran):
    resumed = call("sweep", "resume", "sweeps/one", "--max-trials", "4", "--json", cwd=folder)
    assert len(json.loads(resumed.stdout)["leaderboard"]) == 4
    refused = call("sweep", "resume", "sweeps/one", "--max-trials", "2", cwd=folder, code=1)
    assert "max_trials: must be at least 4, as before. Received: 2." in " ".join(refused.stderr.split())


def test_plan_tells_what_a_sweep_will_cost_and_makes_none(folder, ran):
    arguments = [
        "--set",
        "name=planned",
        "--set",
        "max_trials=2",
        "--set",
        "scheduler={eta: 2, max_epochs: 2}",
    ]
    printed = " ".join(call("sweep", "plan", "one.yaml", *arguments, cwd=folder).stdout.split())
    assert "Space: 1 hyperparameters, 16 configurations." in printed
    assert "an epoch on all images at first: " in printed
    assert "epochs of 2 trials, 4 at most, in " in printed
    told = json.loads(
        call("sweep", "plan", "one.yaml", *arguments, "--no-probe", "--json", cwd=folder).stdout
    )
    assert (told["name"], told["trials"]["at_most"], told["epochs"]["at_most"]) == ("planned", 2, 4)
    assert told["seconds"] is told["probe"] is None
    assert [(level["epoch"], level["trials"]["at_most"]) for level in told["levels"]] == [
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    assert sorted(path.name for path in (folder / "sweeps").iterdir()) == ["one"]


def test_a_sweep_without_a_single_result_says_so_and_fails(folder):
    arguments = ["--name", "broken", "--max-trials", "2", "--set", "space.arguments={breaks: true}"]
    done = call("sweep", "run", "one.yaml", *arguments, cwd=folder, code=1)
    assert " ".join(done.stdout.split()).count("the disk of images has a hole") == 2
    assert "sweep broken: at least one trial must give a result" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_several_objectives_have_a_front(folder):
    arguments = [
        *("--name", "several", "--max-trials", "3", "--set", "scheduler.max_epochs=2"),
        *("--set", "objective=[{metric: val_accuracy}, {metric: parameters}]"),
        *("--set", "constraints.max_parameters=10000", "--set", "model.register_winner=false"),
    ]
    printed = " ".join(call("sweep", "run", "one.yaml", *arguments, cwd=folder).stdout.split())
    assert "several: Pareto front of val_accuracy and parameters" in printed
    found = json.loads(call("sweep", "results", "sweeps/several", "--json", cwd=folder).stdout)
    assert found["front"][0]["trial"] == found["leaderboard"][0]["trial"]
    sizes = [row["values"]["parameters"] for row in found["front"]]
    assert sizes == sorted(sizes, reverse=True) and max(sizes) <= 10000


def test_compare_tells_what_can_be_compared(folder, ran):
    """The sweep named `several` has the same data and primary objective, but no registered winner."""
    printed = " ".join(call("sweep", "compare", "sweeps/one", "sweeps/several", cwd=folder).stdout.split())
    assert "Sweeps side by side" in printed and "several has no test accuracy" in printed
    arguments = ["sweeps/one", "sweeps/broken", "--json", "--html", "both.html"]
    found = json.loads(call("sweep", "compare", *arguments, cwd=folder).stdout)
    assert [sweep["name"] for sweep in found["sweeps"]] == ["one", "broken"]
    assert found["sweeps"][1]["value"] is found["target"] is None
    assert "Sweeps one and broken" in (folder / "both.html").read_text()
