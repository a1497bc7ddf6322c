"""Whose token this process sends; Ray is imported and no cluster is started."""

import os
import socket
import subprocess
from dataclasses import replace
from importlib import import_module

import psutil
import pytest

from fer_ray.errors import ClusterError
from fer_ray.nodes import Cluster, Node
from fer_ray.nodes.processes import is_ours, marked_environment
from fer_ray.ray_connection import _give_token_back, _own_cluster, _take_token, connect_ray, token_place


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cluster that is kept in the state folder; its head is a process that sleeps."""
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(tmp_path))
    cluster = Cluster(
        state=tmp_path,
        mark="m" * 32,
        folder=tmp_path / "sessions",
        address="127.0.0.2:1",
        dashboard_url="http://127.0.0.1:1",
    )
    with subprocess.Popen(["sleep", "600"], env={**os.environ, **marked_environment(cluster)}) as head:
        cluster = replace(cluster, nodes=(Node(name="head", pid=head.pid, cpus=1, gpus=0),))
        cluster.save()
        cluster.write_token()
        yield cluster
        head.kill()


def sent_token() -> str:
    """As Ray would send it."""
    token: str = import_module("ray._raylet").AuthenticationTokenLoader.instance().get_raw_token()
    return token


def test_an_address_means_the_kept_cluster_while_its_head_lives(kept):
    assert (
        _own_cluster(kept.address) == _own_cluster(f"{kept.dashboard_url}/") == _own_cluster("auto") == kept
    )
    assert _own_cluster("10.0.0.1:6379") is None


def test_a_kept_cluster_whose_head_is_gone_is_not_meant_whoever_listens_at_its_port(kept):
    with socket.create_server(("127.0.0.1", 0)) as other:
        moved = replace(kept, address=f"127.0.0.1:{other.getsockname()[1]}")
        moved.save()
        assert _own_cluster("auto") == moved
        psutil.Process(kept.nodes[0].pid).kill()
        while is_ours(kept.nodes[0].pid, kept):
            pass
        assert _own_cluster("auto") is None and _own_cluster(moved.address) is None
    with pytest.raises(ClusterError, match="must answer"):
        connect_ray(moved.address)


def test_a_cluster_that_is_just_starting_is_not_meant(kept):
    replace(kept, nodes=()).save()
    assert _own_cluster("auto") is None


def test_a_broken_state_is_no_matter_for_another_cluster(kept):
    (kept.state / "cluster.json").write_text("{")
    assert _own_cluster("10.0.0.1:6379") is None
    with pytest.raises(ClusterError, match=r"cluster\.json: must be readable"):
        _own_cluster("auto")


def test_its_token_is_sent_and_what_was_there_is_put_back(kept, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another cluster's")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    before = dict(os.environ)
    _take_token(kept)
    assert sent_token() == kept.token_file.read_text()
    assert token_place() == str(kept.token_file)
    _give_token_back()
    assert dict(os.environ) == before
    assert sent_token() == "another cluster's"
