"""Real nodes: a cluster as a person starts, uses, breaks and ends it, beside another one that stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from fer_ray.errors import ClusterError
from fer_ray.nodes import down, read_cluster, status, up
from fer_ray.nodes.processes import find_processes

pytestmark = pytest.mark.ray

#: Connects as `sweep run --address` and `serve --address` do, with Ray imported first, computes on both nodes, and
#: asks what is served, which leaves no connection behind.
DRIVER = """
import os
import sys

import ray

from fer_ray.ray_connection import connect_jobs, connect_ray
from fer_ray.serving.endpoints import status

for address in (sys.argv[1], "auto"):
    connect_ray(address)

    @ray.remote(num_cpus=1)
    class Worker:
        def node(self):
            return ray.get_runtime_context().get_node_id(), os.environ["RAY_SERVE_ENABLE_HA_PROXY"]

    workers = [Worker.remote() for _ in range(2)]
    found = ray.get([worker.node.remote() for worker in workers])
    print(len({node for node, _ in found}), {value for _, value in found})
    ray.shutdown()
print(status("auto"), ray.is_initialized())
print(len(connect_jobs(None).list_jobs()))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Of a user who knows nothing of tokens."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    kept.pop("RAY_ADDRESS", None)
    state = str(tmp_path_factory.mktemp("state"))
    return {**kept, "FER_RAY_CLUSTER_STATE": state, "COLUMNS": "200"}


def call(environment: dict[str, str], *arguments: str, code: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fer_ray", "cluster", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_cluster_from_up_to_down_beside_another(environment, tmp_path, monkeypatch):
    state = Path(environment["FER_RAY_CLUSTER_STATE"])
    other = up(1, cpus=1, state=tmp_path)
    try:
        shown = json.loads(call(environment, "up", "--nodes", "2", "--cpus", "1", "--json").stdout)
        cluster = read_cluster(state)
        assert shown["RAY_ADDRESS"] == cluster.address != other.address
        token = cluster.token_file.read_text()
        assert cluster.token_file.stat().st_mode & 0o777 == 0o600

        again = call(environment, "up", code=1)
        assert f"is up already. Received: {cluster.address}" in again.stderr
        assert httpx.get(f"{cluster.dashboard_url}/api/jobs/").status_code == 401

        command = [sys.executable, "-c", DRIVER, cluster.address]
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.stdout.splitlines() == ["2 {'1'}", "2 {'1'}", "[] False", "3"], ran.stdout + ran.stderr

        seen = call(environment, "status", "--json")
        found = json.loads(seen.stdout)
        assert [(node["name"], node["state"]) for node in found["nodes"]] == [
            ("head", "alive"),
            ("worker-1", "alive"),
        ]
        assert len(found["jobs"]) == 3 and found["token"] == str(cluster.token_file)
        assert token not in seen.stdout + again.stderr + str(shown)

        os.kill(found["nodes"][1]["pid"], signal.SIGKILL)
        table = call(environment, "status").stdout
        assert "dead" in table and "Newest jobs" in table and token not in table

        assert "Ended the 2 nodes" in call(environment, "down").stdout
        assert not find_processes(cluster)
        assert (
            str(cluster.folder) not in subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout
        )
        assert not cluster.folder.exists() and not cluster.token_file.exists()
        assert "No cluster is up." in call(environment, "down").stdout
        assert "must be up" in call(environment, "status", code=1).stderr

        assert [node.state for node in status(tmp_path).nodes] == ["alive"]
    finally:
        down(tmp_path)
    assert not find_processes(other)


def test_a_node_that_does_not_start_takes_the_others_with_it(tmp_path, monkeypatch):
    # Ray's own hook, which fails in the node that it is meant for.
    monkeypatch.setenv("RAY_START_HOOK", "no_such_module.hook")
    with pytest.raises(ClusterError, match=r"Ray node head: must start\. Received: .*no_such_module"):
        up(1, cpus=1, state=tmp_path)
    assert read_cluster(tmp_path) is None
    assert "no_such_module" in (tmp_path / "logs" / "head.log").read_text()


def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "fer_ray", "cluster", "up", "--state", str(tmp_path), "--cpus", "1"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job has it ignored, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while (cluster := read_cluster(tmp_path)) is None or not cluster.nodes:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # now Ray starts its own processes
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert not find_processes(cluster)
    assert read_cluster(tmp_path) is None and not cluster.folder.exists()
