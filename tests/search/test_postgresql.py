"""A sweep whose study lies in a real PostgreSQL server."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import optuna
import pytest

from fer_ray.errors import SweepError
from fer_ray.search import SweepSpec, load_result, run

INITDB = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(INITDB is None, reason="needs the Debian package postgresql"),
]


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory):
    """The URL of a server that lives as long as the test, on 127.0.0.1."""
    assert INITDB
    folder = tmp_path_factory.mktemp("postgresql")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The server refuses to run as root, and must reach its folder.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:2]:
            parent.chmod(0o755)
    data, control = folder / "data", INITDB.parent / "pg_ctl"
    subprocess.run(
        [*user, INITDB, "-D", data, "-A", "trust", "-U", "tester"], check=True, capture_output=True
    )
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    subprocess.run(
        [*user, control, "-D", data, "-o", options, "-l", folder / "log", "-w", "start"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    yield f"postgresql+psycopg2://tester@127.0.0.1:{port}/postgres"
    subprocess.run([*user, control, "-D", data, "-m", "fast", "-w", "stop"], check=True, capture_output=True)


def spec_of(tmp_path: Path, faces: Path, space: Path, storage: str) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": "in-database",
            "data": str(faces),
            "space": {"file": str(space)},
            "scheduler": {"kind": "asha", "eta": 2, "max_epochs": 2},
            "max_trials": 4,
            "folder": str(tmp_path / "sweeps"),
            "storage": storage,
            "model": {"register_winner": False},
        }
    )


def test_a_sweep_in_postgresql(tmp_path, faces, plain_space, ray_cluster, postgresql):
    result = run(spec_of(tmp_path, faces, plain_space, postgresql))

    assert result.trials.num_rows == 4
    # A name that no other sweep in the database has.
    assert result.spec.study_name.startswith("in-database-")
    assert not (result.path / "study.journal").exists()
    study = optuna.load_study(study_name=result.spec.study_name, storage=postgresql)
    assert [trial.user_attrs["best_value"] for trial in study.trials] == result.trials.column(
        "value"
    ).to_pylist()
    (result.path / "trials.parquet").unlink()
    assert load_result(result.path).trials.num_rows == 4


def test_a_database_that_does_not_answer(tmp_path, faces, plain_space):
    nowhere = "postgresql+psycopg2://tester@127.0.0.1:9/postgres"
    with pytest.raises(SweepError, match="must be a reachable Optuna storage URL"):
        run(spec_of(tmp_path, faces, plain_space, nowhere))
