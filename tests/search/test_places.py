"""Where a sweep's files lie, what becomes of its paths on a cluster."""

import stat
from pathlib import Path

import pytest

from fer_ray.errors import SpaceError
from fer_ray.search import SweepSpec, load_result, resume, run
from fer_ray.search.folder import SweepFolder
from fer_ray.search.submission import _absolute_location, _absolute_storage

HELPED_SPACE = """
from helper import LAYERS
from parts.heads import head
import keras


def build(hp):
    model = keras.Sequential([keras.Input((16, 16, 1)), *LAYERS, head(hp)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
HEAD = """
import keras


def head(hp):
    hp.Int("units", 4, 64)
    return keras.layers.Dense(7, activation="softmax")
"""


@pytest.fixture
def spec(tmp_path, faces):
    project = tmp_path / "project"
    (project / "parts").mkdir(parents=True)
    (project / "space.py").write_text(HELPED_SPACE)
    (project / "helper.py").write_text("import keras\n\nLAYERS = [keras.layers.Flatten()]\n")
    (project / "unused.py").write_text("")
    (project / "parts" / "__init__.py").write_text("")
    (project / "parts" / "heads.py").write_text(HEAD)
    return SweepSpec.parse(
        {
            "name": "helped",
            "data": str(faces),
            "space": {"file": str(project / "space.py")},
            "scheduler": {"max_epochs": 1},
            "max_trials": 1,
            # Within a package that is copied.
            "folder": str(project / "parts" / "sweeps"),
            "model": {"register_winner": False},
        }
    )


@pytest.mark.ray
def test_a_sweep_keeps_the_modules_that_its_space_imports(spec, ray_cluster):
    run(spec)
    project = spec.space.file.parent
    project = project.rename(project.with_name("moved"))
    path = project / "parts" / "sweeps" / "helped"
    folder = SweepFolder(path)
    assert sorted(path.name for path in folder.modules.iterdir()) == ["helper.py", "parts"]
    assert sorted(path.name for path in (folder.modules / "parts").iterdir()) == ["__init__.py", "heads.py"]
    assert len(resume(path, max_trials=2).trials) == 2

    # A space that cannot be imported ends the sweep; it fails no trial.
    (folder.modules / "helper.py").rename(folder.path / "helper.txt")
    with pytest.raises(SpaceError, match="ModuleNotFoundError: No module named 'helper'"):
        resume(path, max_trials=3)
    (folder.path / "helper.txt").rename(folder.modules / "helper.py")
    states = load_result(resume(path).path).trials.column("state").to_pylist()
    assert states == ["COMPLETE"] * 3


def test_a_sweep_file_with_a_database_is_its_owners_alone(spec):
    open_to_all = SweepFolder.create(spec).spec_file
    assert open_to_all.stat().st_mode & stat.S_IROTH
    url = "postgresql+psycopg2://user:secret@host/studies"
    closed = SweepFolder.create(spec.model_copy(update={"name": "other", "storage": url})).spec_file
    assert stat.S_IMODE(closed.stat().st_mode) == 0o600


def test_paths_mean_the_same_wherever_the_driver_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _absolute_location("s3://bucket/faces") == "s3://bucket/faces"
    assert _absolute_location("~/registry") == str(Path.home() / "registry")
    assert _absolute_storage("sqlite:///study.db") == f"sqlite:///{tmp_path}/study.db"
    assert _absolute_storage("sqlite:////var/study.db") == "sqlite:////var/study.db"
    url = "postgresql+psycopg2://user:secret@host/studies"
    assert _absolute_storage(url) == url and _absolute_storage(None) is None
