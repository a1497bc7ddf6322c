"""A small data set, small spaces, one Ray cluster for the sweeps of a file, and clusters to break."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from fer_ray.data.synthetic import write_synthetic
from fer_ray.results.journal import EpochJournal
from fer_ray.search import SweepResult, load_result

# A Keras Tuner file that knows nothing of fer_ray.
PLAIN_SPACE = """
import keras


def build(hp):
    model = keras.Sequential([
        keras.layers.Flatten(),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Dense(hp.Int("units", 4, 64, step=4), activation="relu"),
        keras.layers.Dense(7, activation="softmax"),
    ])
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.0, 0.9)
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    optimizer = keras.optimizers.Adam(rate) if kind == "adam" else keras.optimizers.SGD(rate, momentum)
    model.build((None, 16, 16, 1))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "data"
    write_synthetic(path, images=400, size=16)
    return path


@pytest.fixture(scope="module")
def ray_cluster():
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def plain_text() -> str:
    return PLAIN_SPACE


@pytest.fixture
def plain_space(tmp_path: Path) -> Path:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN_SPACE)
    return path


# Its `fit` writes every epoch it has finished into a ledger, which nobody but the test reads.
LEDGER_SPACE = """
import json, os, time
import keras, keras_tuner


class Model(keras_tuner.HyperModel):
    def __init__(self, ledger):
        super().__init__()
        self.ledger = ledger

    def build(self, hp):
        model = keras.Sequential([
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 4, 256), activation="relu"),
            keras.layers.Dense(7, activation="softmax"),
        ])
        model.build((None, 16, 16, 1))
        model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, callbacks=(), **options):
        def finished(epoch, logs):
            with open(self.ledger, "a") as file:
                file.write(json.dumps([hp.get("units"), epoch + 1, os.getpid()]) + "\\n")
            time.sleep(0.2)

        # None while the space is discovered, on a handful of images.
        first = [keras.callbacks.LambdaCallback(on_epoch_end=finished)] if len(x) > 100 else []
        return model.fit(x, y, callbacks=[*first, *callbacks], verbose=0, **options)
"""


class Ledger:
    """Epochs as the trials' own `fit` counts them: (units, epoch, process) in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[tuple[int, int, int]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def assert_kept(self, result: SweepResult) -> None:
        """Nothing of it is missing from a sweep's tables, and nothing is there twice."""
        trials, epochs = result.trials.to_pandas(), result.epochs.to_pandas()
        assert set(trials.state) <= {"COMPLETE", "PRUNED"}
        assert trials["hp.units"].is_unique
        assert not epochs.duplicated(["trial", "epoch"]).any()
        units = trials.set_index("trial")["hp.units"]
        table = {(int(units[trial]), epoch) for trial, epoch in zip(epochs.trial, epochs.epoch, strict=True)}
        assert {(unit, epoch) for unit, epoch, _ in self.read()} == table

    def repeated(self) -> int:
        """Epochs that were trained more than once."""
        return sum(count - 1 for count in Counter(line[:2] for line in self.read()).values())


class Sweeps:
    """Sweeps that run as processes of their own, over a space with a ledger each.

    Args:
        folder: For their files.
        data: Their data set.
        environment: Theirs.
    """

    def __init__(self, folder: Path, data: Path, environment: dict[str, str]) -> None:
        self.folder, self.data, self.environment = folder, data, environment
        self.ledger = Ledger(folder / "ledger")
        self._started: list[subprocess.Popen] = []

    def run(self, name: str, *, space: str = LEDGER_SPACE, **changes: Any) -> "RunningSweep":
        """Starts a new one."""
        (self.folder / f"{name}.py").write_text(space)
        content = {
            "name": name,
            "data": str(self.data),
            "space": {
                "file": str(self.folder / f"{name}.py"),
                "arguments": {"ledger": str(self.ledger.path)},
            },
            "scheduler": {"eta": 3, "grace": 3, "max_epochs": 27},
            "searcher": {"kind": "random"},
            "max_trials": 4,
            "folder": str(self.folder / "sweeps"),
            "model": {"register_winner": False},
        }
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump({**content, **changes}))
        return self._start("run", str(self.folder / f"{name}.yaml"), name=name)

    def resume(self, name: str, *options: str) -> "RunningSweep":
        return self._start("resume", str(self.folder / "sweeps" / name), *options, name=name)

    def _start(self, *arguments: str, name: str) -> "RunningSweep":
        # A file: a pipe would stay open in Ray's own processes.
        output = self.folder / f"{name}-{len(self._started)}.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "fer_ray", "sweep", *arguments],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        self._started.append(process)
        return RunningSweep(process, output, self.folder / "sweeps" / name)

    def stop(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()


@dataclass
class RunningSweep:
    """A sweep's process, its output and its folder."""

    process: subprocess.Popen
    output: Path
    path: Path

    def epochs(self) -> list[dict]:
        """What the journal has."""
        return EpochJournal(self.path / "epochs.jsonl").read()

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Until a condition holds, while the sweep runs."""
        for _ in range(1800):
            if condition():
                return
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)
        raise AssertionError(f"not in three minutes:\n{self.output.read_text()}")

    def result(self) -> SweepResult:
        """What it came to, once it has ended well."""
        assert self.process.wait(timeout=180) == 0, self.output.read_text()
        return load_result(self.path)

    def error(self) -> str:
        """The one line that it ended with, once it has failed."""
        assert self.process.wait(timeout=180) == 1, self.output.read_text()
        assert "Traceback" not in self.output.read_text()
        return self.output.read_text().splitlines()[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


_COMMANDS = (
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
    *("cluster_synced_files", "rsync_exclude", "rsync_filter"),
)
_HEAD_NODE_ID = "f" * 51 + "00000"
#: What Ray's provider of nodes for tests asks for.
_AUTOSCALED_HEAD = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_CLOUD_INSTANCE_ID": _HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_NODE_ID,
    "RAY_NODE_TYPE_NAME": "ray.head.default",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
# What a cloud's agent does that hears of the end of its instance: head, address and seconds are arguments.
_GIVE_NOTICE = """
import sys, time
from ray._raylet import GcsClient
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

head, address, seconds = GcsClient(address=sys.argv[1]), sys.argv[2], int(sys.argv[3])
node, = (node for node in head.get_all_node_info().values() if node.node_manager_address == address)
accepted, reason = head.drain_node(
    node.node_id.hex(),
    DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
    "the cloud takes it away",
    time.time_ns() // 10**6 + seconds * 1000,
)
assert accepted, reason
"""


class Nodes:
    """A Ray cluster of several nodes, all of them on this machine, as processes of their own.

    Each has a loopback address of its own, from 127.0.0.2: for 127.0.0.1 Ray takes the machine's outer address.
    """

    def __init__(self) -> None:
        # Not pytest's: the path of a socket is short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            # Jobs call `python`, which on a cluster is the one that has Ray.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        self.address = self.dashboard = ""
        self._nodes: list[subprocess.Popen] = []
        self._addresses: dict[int, str] = {}

    def start_head(
        self,
        cpus: int,
        dashboard: bool = False,
        gpus: int = 0,
        grows: dict[str, Any] | None = None,
        **environment: str,
    ) -> subprocess.Popen:
        """The first node of a new cluster, whose address is `address` from now on.

        With `grows`, the resources of a node, an autoscaler of Ray's adds up to two of them.
        """
        port = free_port()
        self.address = f"{self._next_ip()}:{port}"
        head = ["--head", f"--port={port}", f"--temp-dir={self.folder}", f"--num-gpus={gpus}"]
        if grows is not None:
            head.append(f"--autoscaling-config={self._autoscaler(cpus, grows)}")
            environment = {**_AUTOSCALED_HEAD, **environment}
        if not dashboard:
            return self._start(cpus, [*head, "--include-dashboard=false"], environment)
        self.dashboard = f"http://127.0.0.1:{(port := free_port())}"
        return self._start(cpus, [*head, f"--dashboard-port={port}"], environment)

    def start_node(
        self, cpus: int, gpus: int = 0, within: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen:
        """One more node of the cluster, called by the command `within`; its GPUs are Ray's word only."""
        return self._start(cpus, [f"--address={self.address}", f"--num-gpus={gpus}"], environment, within)

    def _start(
        self, cpus: int, where: list[str], environment: dict[str, str], within: Sequence[str] = ()
    ) -> subprocess.Popen:
        command = [
            *within,
            Path(sys.executable).with_name("ray"),
            "start",
            "--block",
            "--disable-usage-stats",
        ]
        log, address = self.folder / f"node-{len(self._nodes)}.log", self._next_ip()
        with log.open("w") as file:
            node = subprocess.Popen(
                [*command, f"--node-ip-address={address}", f"--num-cpus={cpus}", *where],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**self.environment, **environment},
            )
        self._nodes.append(node)
        self._addresses[node.pid] = address
        while "Ray runtime started" not in log.read_text():
            assert node.poll() is None, log.read_text()
            time.sleep(0.1)
        return node

    def _autoscaler(self, cpus: int, worker: dict[str, Any]) -> Path:
        """A configuration of Ray's autoscaler whose nodes are processes of this machine."""
        provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
        types = {
            "ray.head.default": {"resources": {"CPU": cpus}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": 2},
        }
        config = {
            "cluster_name": "grows",
            "max_workers": 2,
            "provider": {
                "type": "external",
                "module": provider,
                "gcs_address": self.address,
                "head_node_id": _AUTOSCALED_HEAD["RAY_CLOUD_INSTANCE_ID"],
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "launch_multiple": True,
            },
            "available_node_types": types,
            "head_node_type": "ray.head.default",
            **{key: {} for key in ("auth", "docker", "file_mounts")},
            **{key: [] for key in _COMMANDS},
            "upscaling_speed": 1.0,
            "idle_timeout_minutes": 5,
            "file_mounts_sync_continuously": False,
        }
        file = self.folder / "autoscaler.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    def _next_ip(self) -> str:
        return f"127.0.0.{len(self._nodes) + 2}"

    def processes(self, node: subprocess.Popen) -> set[int]:
        """Of a node: its own and its workers'."""
        return {process.pid for process in psutil.Process(node.pid).children(recursive=True)}

    def kill(self, node: subprocess.Popen) -> None:
        """Ends a node as a power cut would: all of its processes at once."""
        for pid in (node.pid, *self.processes(node)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()

    def take_away(self, node: subprocess.Popen, notice: int) -> None:
        """Ends a node as a cloud ends a spot instance: Ray is told, some seconds before."""
        ip = self._addresses[node.pid]
        command = [sys.executable, "-c", _GIVE_NOTICE, self.address, ip, str(notice)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)
        time.sleep(notice)
        self.kill(node)

    def stop(self) -> None:
        for node in reversed(self._nodes):
            if node.poll() is None:
                # Nodes that an autoscaler has started are none of those that the head ends.
                processes = psutil.Process(node.pid).children(recursive=True)
                node.terminate()
                node.wait(60)
                for process in processes:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def nodes():
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture
def sweeps_in(faces, nodes):
    """Makes `Sweeps` in a folder."""
    made: list[Sweeps] = []

    def make(folder: Path) -> Sweeps:
        folder.mkdir(exist_ok=True)
        made.append(Sweeps(folder, faces, nodes.environment))
        return made[-1]

    yield make
    for sweeps in made:
        sweeps.stop()


@pytest.fixture
def sweeps(tmp_path, sweeps_in):
    return sweeps_in(tmp_path)
