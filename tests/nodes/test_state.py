"""What is kept, what is refused and what is left alone; no Ray here."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fer_ray.errors import ClusterError
from fer_ray.nodes import Cluster, Node, down, limits, read_cluster, status, up
from fer_ray.nodes.processes import marked_environment
from fer_ray.nodes.shares import divide_gpus, divide_machine
from fer_ray.nodes.state import only_command, state_folder


@pytest.fixture
def kept(tmp_path: Path) -> Cluster:
    """A cluster of the past: one node, and the folder of its sessions."""
    (tmp_path / "sessions").mkdir()
    cluster = Cluster(
        state=tmp_path / "state",
        mark="a" * 32,
        folder=tmp_path / "sessions",
        address="127.0.0.2:1",
        dashboard_url="http://127.0.0.1:1",
        nodes=(Node(name="head", pid=2**22, cpus=1, gpus=0),),
    )
    cluster.state.mkdir()
    cluster.save()
    cluster.write_token()
    return cluster


@pytest.fixture
def sleeper():
    """Starts a process that sleeps, with an environment."""
    started: list[subprocess.Popen] = []

    def start(environment: dict[str, str]) -> subprocess.Popen:
        started.append(subprocess.Popen(["sleep", "600"], env={**os.environ, **environment}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_is_kept_is_read_back(kept):
    assert read_cluster(kept.state) == kept
    assert kept.token_file.stat().st_mode & 0o777 == 0o600 and len(kept.token_file.read_text()) == 64
    assert read_cluster(kept.state / "elsewhere") is None


def test_the_state_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("FER_RAY_CLUSTER_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "fer-ray" / "cluster"
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(tmp_path / "named"))
    assert state_folder() == tmp_path / "named"
    assert state_folder(Path("given")) == Path.cwd() / "given"


def test_a_cluster_of_before_a_reboot_is_forgotten_and_a_process_with_its_id_lives_on(kept, sleeper):
    other = sleeper({"FER_RAY_CLUSTER": "another cluster's"})
    changed = json.loads((kept.state / "cluster.json").read_text())
    changed["nodes"][0]["pid"] = other.pid
    (kept.state / "cluster.json").write_text(json.dumps(changed))

    with pytest.raises(ClusterError, match=r"must be up.*as after a reboot"):
        status(kept.state)
    assert down(kept.state) is None
    assert other.poll() is None
    assert read_cluster(kept.state) is None and not kept.token_file.exists() and not kept.folder.exists()


def test_a_process_that_outlived_its_node_is_ended_with_its_children(kept, sleeper):
    code = "import subprocess; subprocess.run(['sleep', '600'], env={})"
    environment = {**os.environ, **marked_environment(kept)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as left:
        while not (children := psutil.Process(left.pid).children()):
            assert left.poll() is None
        ended = down(kept.state)
    assert ended is not None and ended.mark == kept.mark
    assert not children[0].is_running() or children[0].status() == psutil.STATUS_ZOMBIE


def test_a_cluster_of_another_machine_is_left_alone(kept):
    """Two machines that share a home folder: neither sees the other's processes."""
    changed = json.loads((kept.state / "cluster.json").read_text())
    assert changed["host"] == socket.gethostname()
    (kept.state / "cluster.json").write_text(json.dumps({**changed, "host": "elsewhere"}))
    for command in (lambda: down(kept.state), lambda: up(1, state=kept.state), lambda: status(kept.state)):
        with pytest.raises(ClusterError, match=r"must hold a cluster of this.*one of elsewhere.*--state"):
            command()
    assert kept.token_file.exists() and kept.folder.exists() and read_cluster(kept.state).host == "elsewhere"


def test_a_head_that_dies_while_workers_start_is_named(tmp_path, monkeypatch):
    """Processes that do as `ray start` of a head that ends at once, and of a worker that waits for it."""
    fake = tmp_path / "fake" / "ray" / "scripts"
    fake.mkdir(parents=True)
    (fake / "scripts.py").write_text(
        "import sys, time\n"
        "print('Ray runtime started' if '--head' in sys.argv else 'waiting', flush=True)\n"
        "time.sleep(0.5 if '--head' in sys.argv else 600)\n"
        "sys.exit('the head is gone')\n"
    )
    for package in (fake, fake.parent):
        (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(fake.parent.parent))
    # The package has the function `up` in place of its module.
    monkeypatch.setattr(sys.modules["fer_ray.nodes.up"], "_SECONDS_TO_START", 30.0)
    with pytest.raises(ClusterError, match=r"Ray node head: must start\. Received: the head is gone"):
        up(2, cpus=1, state=tmp_path / "state")
    assert read_cluster(tmp_path / "state") is None


def test_commands_that_are_shown_mean_the_cluster_that_was_started(kept, capsys, monkeypatch):
    from fer_ray.cli.cluster import _show_new

    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(kept.state.parent / "usual"))
    _show_new(kept)
    shown = capsys.readouterr().out
    assert re.search(rf"Sweep: +FER_RAY_CLUSTER_STATE={kept.state} fer-ray sweep run my\.yaml", shown)
    assert f"fer-ray cluster down --state {kept.state}\n" in shown
    with pytest.raises(ClusterError, match=rf"cluster up --nodes 2 --state {kept.state}`"):
        status(kept.state)
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(kept.state))
    _show_new(kept)
    assert str(kept.state) not in capsys.readouterr().out.replace(str(kept.token_file), "")


def test_one_command_at_a_time(kept):
    with only_command(kept.state), pytest.raises(ClusterError, match="another `fer-ray cluster` is at work"):
        down(kept.state)
    assert read_cluster(kept.state) == kept


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"nodes": [{"pid": 1}], "folder": "/tmp"}'])
def test_a_broken_state_is_one_error(kept, content):
    (kept.state / "cluster.json").write_text(content)
    with pytest.raises(ClusterError, match=r"cluster\.json: must be readable"):
        down(kept.state)


@pytest.mark.parametrize("flag", ["port", "dashboard_port"])
def test_a_port_in_use_is_refused(tmp_path, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError, match=f"port {port}: must be free"):
            up(1, cpus=1, state=tmp_path, **{flag: port})
    assert read_cluster(tmp_path) is None


def test_nodes_get_no_more_than_there_is(tmp_path):
    cores = len(os.sched_getaffinity(0))
    shares = divide_machine(cores, None)
    assert [share.cpus for share in shares] == [1] * cores
    assert sum(share.memory + share.object_store for share in shares) <= psutil.virtual_memory().total
    assert sum(share.cpus for share in divide_machine(1, None)) == cores
    with pytest.raises(ClusterError, match=f"nodes: must be at most the machine's {cores} cores"):
        up(cores + 1, state=tmp_path)
    with pytest.raises(ClusterError, match=r"memory: must have 102400000 MiB free"):
        up(100_000, cpus=1, state=tmp_path)
    with pytest.raises(ClusterError, match="nodes: must be at least 1"):
        up(0, state=tmp_path)


def test_no_more_than_the_control_groups_let_it_have(tmp_path, monkeypatch):
    def write(group: Path, **files: str) -> None:
        group.mkdir(exist_ok=True)
        for name, content in files.items():
            (group / name.replace("_", ".")).write_text(content)

    mib = 2**20
    monkeypatch.setattr(limits, "_GROUPS", tmp_path)
    monkeypatch.setattr(limits, "_OWN_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("1:cpu:/elsewhere\n0::/job/step\n")
    cores = limits.usable_cores()
    write(tmp_path / "job", cpu_max="max 100000", memory_max="max")
    assert limits.usable_cores() == cores
    assert abs(limits.usable_memory() - psutil.virtual_memory().available) < 1024 * mib
    write(tmp_path / "job", cpu_max="150000 100000", memory_max=str(300 * mib), memory_current=str(200 * mib))
    write(tmp_path / "job", memory_stat=f"anon 1\ninactive_file {50 * mib}\n")
    write(tmp_path / "job" / "step", cpu_max="10000 100000", memory_max="max")
    assert limits.usable_cores() == 1 and limits.usable_memory() == 150 * mib
    with pytest.raises(ClusterError, match=r"memory: must have 1024 MiB free.*150 MiB"):
        divide_machine(1, 1)


def test_every_gpu_belongs_to_one_node(monkeypatch):
    assert divide_gpus(["0", "1", "2"], 2) == [("0", "2"), ("1",)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [share.gpus for share in divide_machine(3, 1)] == [("3",), ("5",), ()]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [share.gpus for share in divide_machine(1, 1)] == [()]
