"""A sweep whose study lies in a real PostgreSQL server."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from fer_ray.errors import SweepError
from fer_ray.search import SweepSpec, load_result, run
from fer_ray.search.storage import open_storage

INITDB = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(INITDB is None, reason="needs the Debian package postgresql"),
]


class Server:
    """A PostgreSQL server of a test's own, on 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        assert INITDB
        self.folder, self.port = folder, free_port()
        self.url = url_at(self.port)
        # The server refuses to run as root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
        self._run(INITDB, "-A", "trust", "-U", "tester")
        self.start()

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
        self._run(INITDB.parent / "pg_ctl", "-o", options, "-l", self.folder / "log", "-w", "start")

    def stop(self, how: str = "immediate") -> None:
        """At once, connections and all."""
        self._run(INITDB.parent / "pg_ctl", "-m", how, "-w", "stop")

    def _run(self, program: Path, *arguments: str | Path) -> None:
        command = [*self._user, program, "-D", self.folder / "data", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def url_at(port: int) -> str:
    return f"postgresql+psycopg2://tester@127.0.0.1:{port}/postgres"


@pytest.fixture
def server():
    """A server that lives as long as the test."""
    # Not pytest's: its folders are closed to the server's user, each time that another run of pytest begins.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        started = Server(Path(folder))
        yield started
        with contextlib.suppress(subprocess.CalledProcessError):  # A test has stopped it.
            started.stop("fast")


@pytest.fixture
def postgresql(server: Server) -> str:
    """The URL of a server that lives as long as the test."""
    return server.url


class LostAnswers:
    """Stands between a client and a server, and loses answers to COMMIT: what was asked for is done all the same.

    Args:
        server: The port that is handed on to.
    """

    def __init__(self, server: int) -> None:
        self.server, self.lose, self.lost = server, False, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spare = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                commits = threading.Event()
                for serve in (self._ask, self._answer):
                    threading.Thread(target=serve, args=(client, server, commits), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, commits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while asked := client.recv(65536):
                if self.lose and b"COMMIT" in asked:
                    # The first of two: what is asked for again is answered.
                    self._spare = not self._spare
                    if self._spare:
                        commits.set()
                server.sendall(asked)
        server.close()

    def _answer(self, client: socket.socket, server: socket.socket, commits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (answered := server.recv(65536)) and not commits.is_set():
                client.sendall(answered)
            self.lost += commits.is_set()
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


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


def test_what_a_database_did_without_saying_so_is_not_done_twice(server):
    through = LostAnswers(server.port)
    spec = SweepSpec.parse(
        {"name": "s", "data": "d", "space": {"file": "f"}, "storage": url_at(through.port)}
    )
    storage = open_storage(spec)
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    through.lose = True
    study.enqueue_trial({"x": 0.25})
    for value in (0.5, 0.75, 0.6):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("seen", value)
        trial.report(value, 1)
        pruned = {"state": TrialState.PRUNED} if value == 0.6 else {"values": value}
        study.tell(trial, **pruned)
    through.close()

    assert through.lost > 10
    trials = optuna.load_study(storage=server.url, study_name="study").trials
    twins = [trial for trial in trials if "created twice" in trial.user_attrs.get("reason", "")]
    assert twins and all(trial.state is TrialState.FAIL for trial in twins)
    kept = [trial for trial in trials if trial not in twins]
    assert [trial.state.name for trial in kept] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert [trial.value for trial in kept] == [0.5, 0.75, 0.6]
    assert [trial.user_attrs["seen"] for trial in kept] == [0.5, 0.75, 0.6]
    assert kept[0].params == {"x": 0.25}


@pytest.mark.slow
def test_a_database_that_is_away_for_a_while_costs_nothing(server, nodes, sweeps):
    nodes.start_head(2)
    sweep = sweeps.run("sweep", address=nodes.address, storage=server.url, max_trials=8)
    sweep.wait_for(lambda: len(sweep.epochs()) >= 10)
    server.stop()
    away = len(sweep.epochs())
    time.sleep(15)
    server.start()
    result = sweep.result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 8
    assert len(sweep.epochs()) > away
    sweeps.ledger.assert_kept(result)
    assert sweeps.ledger.repeated() == 0
    study = optuna.load_study(study_name=result.spec.study_name, storage=server.url)
    assert all(trial.state.is_finished() for trial in study.trials)


@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_sweep_with_one_error(server, nodes, sweeps):
    nodes.start_head(2)
    sweep = sweeps.run(
        "sweep", address=nodes.address, storage=server.url, max_trials=8, limits={"storage": "5s"}
    )
    sweep.wait_for(lambda: len(sweep.epochs()) >= 10)
    server.stop()
    error = sweep.error()
    assert (
        "Error: storage: must answer within 5 s (limits.storage). Received: (psycopg2.OperationalError)"
        in error
    )
    assert error.rstrip().endswith("Resume the sweep once it does.")
    before = sweep.epochs()
    server.start()
    again = sweeps.resume("sweep")
    result = again.result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 8
    assert again.epochs()[: len(before)] == before
    sweeps.ledger.assert_kept(result)
    study = optuna.load_study(study_name=result.spec.study_name, storage=server.url)
    assert all(trial.state.is_finished() for trial in study.trials)


@pytest.mark.slow
def test_two_sweeps_of_one_name_share_a_cluster_and_a_database(tmp_path, server, nodes, sweeps_in):
    places = [sweeps_in(tmp_path / "one"), sweeps_in(tmp_path / "other")]
    nodes.start_head(2)
    pair = [
        place.run("sweep", address=nodes.address, storage=server.url, concurrency=1, seed=seed)
        for seed, place in enumerate(places)
    ]
    results = [sweep.result() for sweep in pair]

    for result, place in zip(results, places, strict=True):
        assert result.outcome.ended == "max_trials" and len(result.trials) == 4
        place.ledger.assert_kept(result)
    assert results[0].spec.study_name != results[1].spec.study_name
    assert len(optuna.get_all_study_names(server.url)) == 2
