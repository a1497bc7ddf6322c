"""Where a sweep's files lie, what becomes of its paths on a cluster."""

import errno
import fcntl
import stat
from pathlib import Path

import pytest

from fer_ray.errors import SpaceError, SweepError
from fer_ray.search import SweepSpec, load_result, resume, run, run_or_resume
from fer_ray.search.folder import SweepFolder, writing_tables
from fer_ray.search.submission import _absolute, _absolute_location, _absolute_storage, _bundle

HELPED_SPACE = """
from helper import LAYERS
from parts.heads import head
import keras


def build(hp):
    model = keras.Sequential([keras.Input((16, 16, 1)), *LAYERS, head(hp)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
HELPER = """
import pathlib
import keras

if pathlib.Path({gone!r}).exists():
    raise ImportError("the library is gone")
LAYERS = [keras.layers.Flatten()]
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
    (project / "helper.py").write_text(HELPER.format(gone=str(tmp_path / "library is gone")))
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

    with pytest.raises(SweepError, match=r"space\.file: helper\.py: must stay as it was"):
        run_or_resume(edited(spec, project))
    (folder.modules / "parts" / "heads.py").write_text(HEAD + "# not as it was\n")
    with pytest.raises(SweepError, match=r"space\.file: parts/heads\.py: must stay as it was"):
        resume(path, max_trials=3)
    (folder.modules / "parts" / "heads.py").write_text(HEAD)

    # A space that cannot be imported ends the sweep; it fails no trial.
    (project.parent / "library is gone").touch()
    with pytest.raises(SpaceError, match="ImportError: the library is gone"):
        resume(path, max_trials=3)
    (project.parent / "library is gone").unlink()
    states = load_result(resume(path).path).trials.column("state").to_pylist()
    assert states == ["COMPLETE"] * 3


def edited(spec, project):
    """The sweep as it would be submitted again, after what its space imports was edited."""
    (project / "helper.py").write_text("LAYERS = []\n")
    space = spec.space.model_copy(update={"file": project / "space.py"})
    return spec.model_copy(update={"space": space, "folder": project / "parts" / "sweeps"})


def test_a_sweeps_own_copy_is_not_taken_for_the_space_file(spec, monkeypatch):
    """That lies beside the sweep's resolved file and may have the same name; modules lie beside the original."""
    monkeypatch.chdir(spec.space.file.parent)
    folder = SweepFolder.create(
        spec.model_copy(update={"space": spec.space.model_copy(update={"file": Path("space.py")})})
    )
    assert folder.spec().space.file == spec.space.file


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
    assert _absolute_storage("nonsense") == "nonsense"  # the sweep refuses it


def test_a_folder_of_ones_home_is_the_same_on_the_cluster(spec, tmp_path):
    searcher = spec.searcher.model_copy(update={"warm_start": [Path("~/sweeps/before")]})
    sent = _absolute(spec.model_copy(update={"folder": Path("~/sweeps"), "searcher": searcher}))
    assert sent.folder == Path.home() / "sweeps"
    assert sent.searcher.warm_start == [Path.home() / "sweeps" / "before"]


def test_what_travels_with_a_job_is_as_private_and_whole_as_the_sweep(spec):
    (spec.space.file.parent / ".#helper.py").symlink_to("nobody@nowhere")
    with _bundle(spec.model_copy(update={"storage": "postgresql://user:secret@host/studies"})) as bundle:
        assert stat.S_IMODE((bundle / "sweep.yaml").stat().st_mode) == 0o600
        names = ["helper.py", "parts", "space.py", "sweep.yaml", "unused.py"]
        assert sorted(path.name for path in bundle.iterdir()) == names


def test_a_sweep_that_another_process_is_making_is_left_alone(spec):
    folder = SweepFolder(spec.path)
    folder.path.mkdir(parents=True)
    with folder.locked():
        with pytest.raises(SweepError, match="is being run by another process"):
            run(spec)
        assert [path.name for path in folder.path.iterdir()] == ["lock"]


def test_a_sweep_that_was_taken_back_meanwhile_is_one_error(spec):
    folder = SweepFolder.create(spec)
    folder.discard()
    rule = r"must still be there\. Received: another process has removed it"
    with pytest.raises(SweepError, match=rule), folder.locked():
        pass


def test_storage_without_file_locks_is_one_error(spec, monkeypatch):
    """No such storage is here: the system's call answers as there."""
    folder = SweepFolder.create(spec)
    with folder.locked():
        pass

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    rule = r"helped: must lie on storage that has file locks\. Received: .*No locks available"
    with pytest.raises(SweepError, match=rule), folder.locked():
        pass
    with pytest.raises(SweepError, match=rule):
        folder.is_running()
    with pytest.raises(SweepError, match=rule), writing_tables(folder.path):
        pass
