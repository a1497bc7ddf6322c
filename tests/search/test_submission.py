"""Sweeps as jobs of a real cluster of two nodes, through the command line that their users have."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import yaml
from rich.text import Text
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import ClusterError
from fer_ray.results import load
from fer_ray.search import SweepSpec, load_result, resume
from fer_ray.search.folder import SweepFolder

pytestmark = pytest.mark.ray


class Submitter:
    """Calls `fer-ray sweep` on another machine than the cluster's, as far as the commands can tell."""

    def __init__(self, sweeps, nodes, folder) -> None:
        self.sweeps, self.nodes, self.folder = sweeps, nodes, folder

    def command(self, command: str, *arguments: str) -> dict[str, Any]:
        """How it is called."""
        called = [sys.executable, "-m", "fer_ray", "sweep", command, *arguments]
        return {
            "args": [*called, "--address", self.nodes.dashboard],
            "cwd": self.folder,
            # Of a cluster that is gone: what is given goes before it.
            "env": {**self.sweeps.environment, "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"},
            "text": True,
        }

    def call(self, command: str, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(command, *arguments), capture_output=True, timeout=200)

    @contextmanager
    def watching(self, name: str) -> Iterator[Callable[[], str]]:
        """Watches on a terminal of 24 lines until the sweep ends by itself; gives what has been shown."""
        called, output = self.command("watch", name), self.folder / "watch.txt"
        called["env"] |= {"FORCE_COLOR": "1", "COLUMNS": "80", "LINES": "24"}
        with (
            output.open("w") as file,
            subprocess.Popen(**called, stdout=file, stderr=subprocess.STDOUT) as process,
        ):
            try:
                yield lambda: Text.from_ansi(output.read_text()).plain
                assert process.wait(200) == 0, output.read_text()
            finally:
                process.kill()

    def json(self, command: str, *arguments: str) -> Any:
        done = self.call(command, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run_by_hand(self, sweep_file: str) -> subprocess.CompletedProcess:
        """Drives a sweep on the cluster from here."""
        run = [sys.executable, "-m", "fer_ray", "sweep", "run", sweep_file, "--address", self.nodes.address]
        return subprocess.run(
            run, cwd=self.folder, env=self.sweeps.environment, text=True, capture_output=True, timeout=200
        )

    def actors(self) -> list[dict[str, Any]]:
        """What the dashboard's page of actors shows."""
        return list(self._asked("logical/actors")["data"]["actors"].values())

    def jobs(self) -> list[dict[str, Any]]:
        """What the dashboard's page of jobs shows."""
        return self._asked("api/jobs/")

    def _asked(self, page: str) -> Any:
        token = self.sweeps.environment["RAY_AUTH_TOKEN"]
        request = urllib.request.Request(
            f"{self.nodes.dashboard}/{page}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        for _ in range(240):
            if condition():
                return
            time.sleep(0.5)
        raise AssertionError(self.call("logs", "faces").stdout)

    def state(self) -> str:
        return self.json("status", "faces")["state"]


@pytest.fixture
def submitter(credentials, nodes, sweeps, tmp_path):
    nodes.start_head(1, dashboard=True)
    nodes.start_node(1)
    return Submitter(sweeps, nodes, tmp_path)


SPACE = """
import os
import time
import keras, keras_tuner
from helper import CLASSES


class Model(keras_tuner.HyperModel):
    def __init__(self, pace):
        super().__init__()
        self.pace = pace

    def build(self, hp):
        layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 4, 256), activation="relu")]
        model = keras.Sequential([*layers, keras.layers.Dense(CLASSES, activation="softmax")])
        model.build((None, 16, 16, 1))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, callbacks=(), **options):
        slow = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: time.sleep(self.pace))
        return model.fit(x, y, callbacks=[slow, *callbacks], verbose=0, **options)
"""


@pytest.fixture
def sweep_file(tmp_path, faces):
    """A sweep over a space that imports a module beside it, with relative paths in its file."""
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "space.py").write_text(SPACE)
    (tmp_path / "spaces" / "helper.py").write_text("CLASSES = 7\n")

    def write(**changes) -> str:
        content = {
            "name": "faces",
            "data": str(faces),
            "space": {"file": "spaces/space.py", "arguments": {"pace": 0.3}},
            "scheduler": {"kind": "none", "max_epochs": 6},
            "searcher": {"kind": "random"},
            "max_trials": 6,
            "model": {"register_winner": False},
        }
        (tmp_path / "faces.yaml").write_text(yaml.safe_dump({**content, **changes}))
        return "faces.yaml"

    return write


def test_a_submitted_sweep_is_one_sweep_however_often_it_is_submitted(
    submitter, sweep_file, bucket, tmp_path
):
    """Its data come from an object store, and its results go there."""
    write_synthetic(bucket("faces"), images=200, size=16)
    places = {"data": bucket("faces"), "publish": bucket("sweeps")}
    sweep_file = partial(sweep_file, **places)
    submitted = submitter.call("submit", sweep_file(), "--json")
    first = json.loads(submitted.stdout)
    assert "Uploading" not in submitted.stderr
    assert first["id"] == "faces-1" and first["folder"] == str(tmp_path / "sweeps" / "faces")
    path = tmp_path / "sweeps" / "faces"
    # From before there is a folder on.
    with submitter.watching("faces") as shown:
        assert submitter.json("submit", sweep_file())["id"] == "faces-1"
        submitter.wait_for(lambda: path.exists() and len(load_result(path).epochs) >= 6)
        workers = [actor for actor in submitter.actors() if actor["actorClass"] == "TrialWorker"]
        assert workers and all(
            re.fullmatch(r"TrialWorker\(faces, from trial \d\)", one["reprName"]) for one in workers
        )
        submitter.wait_for(lambda: "Workers" in shown())
        stopped = submitter.json("stop", "faces")
        assert stopped["state"] == "STOPPED"
    assert "Sweep faces: interrupted" in shown()
    before = load_result(path)
    assert before.outcome.ended == "interrupted"

    refused = submitter.call("submit", sweep_file(seed=5), "--attach")
    assert refused.returncode == 1 and "seed: must stay as it was" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr

    assert submitter.json("submit", sweep_file(max_trials=7))["id"] == "faces-3"
    with submitter.watching("faces") as shown:
        done = submitter.call("submit", sweep_file(max_trials=7), "--attach")
    assert "Sweep faces: max_trials" in shown()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"fer-ray sweep attach faces --address {submitter.nodes.dashboard}" in done.stdout
    assert "Ended by max_trials" in done.stdout and "WebSocket" not in done.stderr
    result = load_result(path)
    assert len(result.trials) == 7 and len(result.epochs) == 42
    assert result.epochs.slice(0, 0).schema == before.epochs.schema
    kept = {tuple(row.values()) for row in before.epochs.to_pylist()}
    assert kept <= {tuple(row.values()) for row in result.epochs.to_pylist()}
    assert len(set(result.epochs.column("worker").to_pylist())) >= 2

    listed = submitter.json("status")
    assert [(job["id"], job["state"]) for job in listed] == [
        ("faces-3", "SUCCEEDED"),
        ("faces-2", "FAILED"),
        ("faces-1", "STOPPED"),
    ]
    assert "Sweep faces: max_trials" in submitter.call("watch", "faces").stdout
    assert "Ended by max_trials" in submitter.call("logs", "faces").stdout
    assert len(load(bucket("sweeps/faces")).trials) == 7

    by_hand = sweep_file(name="by-hand", max_trials=1, scheduler={"kind": "none", "max_epochs": 1})
    assert submitter.run_by_hand(by_hand).returncode == 0
    (job,) = [job for job in submitter.jobs() if job["type"] == "DRIVER" and job["metadata"].get("sweep")]
    assert job["metadata"]["sweep"] == "by-hand"
    assert job["metadata"]["folder"] == str(tmp_path / "sweeps" / "by-hand")
    assert submitter.json("status") == listed
    unknown = submitter.call("logs", "nobody")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("Error: sweep: must be the name of one that was submitted")


def test_where_no_cluster_answers_there_is_one_error(sweep_file, tmp_path):
    command = [sys.executable, "-m", "fer_ray", "sweep", "submit", sweep_file()]
    done = subprocess.run(
        [*command, "--address", "http://127.0.0.1:1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Ray cluster 127.0.0.1:1: must answer.")


@pytest.mark.parametrize("command", ["run", "plan", "submit"])
@pytest.mark.parametrize(
    ("flag", "in_file", "meant"),
    [([], None, 3), ([], "127.0.0.1:2", 2), (["--address", "127.0.0.1:1"], "127.0.0.1:2", 1)],
)
def test_an_address_is_the_options_then_the_files_then_the_environments(
    sweep_file, tmp_path, monkeypatch, command, flag, in_file, meant
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:3")
    done = CliRunner().invoke(app, ["sweep", command, sweep_file(address=in_file), *flag])
    assert isinstance(done.exception, ClusterError)
    assert str(done.exception).startswith(f"Ray cluster 127.0.0.1:{meant}: must answer.")


def test_the_environments_address_is_not_kept_with_a_sweep(sweep_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = SweepSpec.from_yaml(sweep_file())
    folder = SweepFolder.create(spec)
    for port in (2, 3):
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(ClusterError, match=f"127.0.0.1:{port}: must answer"):
            resume(folder.path)
    assert folder.spec().address is None
