"""Deleting a sweep: its folder and its study, wherever that lies, and nothing else."""

import optuna
import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.errors import SweepError
from fer_ray.search import SweepSpec, delete
from fer_ray.search.folder import SweepFolder
from fer_ray.search.storage import open_storage
from fer_ray.search.study import open_study


@pytest.fixture
def sweeps(tmp_path, faces, plain_space):
    """The folders of two sweeps, whose studies lie in one database."""

    def make(name: str) -> SweepFolder:
        content = {
            "name": name,
            "data": str(faces),
            "space": {"file": str(plain_space)},
            "folder": str(tmp_path / "sweeps"),
            "storage": f"sqlite:///{tmp_path}/studies.db",
        }
        folder = SweepFolder.create(SweepSpec.parse(content))
        open_study(folder.spec(), open_storage(folder.spec()))
        return folder

    return make("one"), make("other")


def test_a_sweep_goes_with_its_study_and_the_others_stay(sweeps, tmp_path):
    one, other = sweeps
    delete(one.path)
    assert [path.name for path in (tmp_path / "sweeps").iterdir()] == ["other"]
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path}/studies.db") == [other.spec().study_name]


def test_a_sweep_that_runs_is_not_deleted(sweeps):
    one, _ = sweeps
    with one.locked(), pytest.raises(SweepError, match="is being run by another process"):
        delete(one.path)
    assert one.spec_file.exists()


def test_the_command_asks_first(sweeps):
    one, other = sweeps
    assert CliRunner().invoke(app, ["sweep", "delete", str(one.path)], input="n\n").exit_code == 1
    assert one.path.exists()
    assert CliRunner().invoke(app, ["sweep", "delete", str(one.path)], input="y\n").exit_code == 0
    assert CliRunner().invoke(app, ["sweep", "delete", str(other.path), "--yes"]).exit_code == 0
    assert not one.path.exists() and not other.path.exists()
