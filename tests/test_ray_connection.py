"""Whose token this process sends; Ray is imported and no cluster is started."""

import os
import socket
import subprocess
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from fer_ray.errors import ClusterError
from fer_ray.nodes import Cluster
from fer_ray.nodes.processes import marked_environment
from fer_ray.nodes.state import Node
from fer_ray.ray_connection import _give_token_back, _own_cluster, _take_token, connect_ray, token_place


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cluster that is kept in the state folder, whose head lives."""
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(tmp_path))
    cluster = Cluster(
        state=tmp_path,
        mark="m",
        folder=tmp_path / "sessions",
        address="127.0.0.1:1",
        dashboard_url="http://127.0.0.1:2",
    )
    head = subprocess.Popen(["sleep", "600"], env={**os.environ, **marked_environment(cluster)})
    cluster = replace(cluster, nodes=(Node(name="head", pid=head.pid, cpus=1, gpus=0),))
    cluster.save()
    cluster.write_token()
    yield cluster
    head.kill()
    head.wait()


def sent_token() -> str:
    """As Ray would send it."""
    token: str = import_module("ray._raylet").AuthenticationTokenLoader.instance().get_raw_token()
    return token


def test_an_address_means_the_kept_cluster_while_its_head_lives(kept):
    assert (
        _own_cluster(kept.address) == _own_cluster(f"{kept.dashboard_url}/") == _own_cluster("auto") == kept
    )
    assert _own_cluster("10.0.0.1:6379") is None


def test_a_kept_cluster_whose_head_is_gone_is_not_meant_by_auto(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        kept = Cluster(state=tmp_path, mark="m", folder=Path("/nowhere"), address=address, dashboard_url="")
        replace(kept, nodes=(Node(name="head", pid=os.getpid(), cpus=1, gpus=0),)).save()
        # Somebody else's head listens there now.
        assert _own_cluster("auto") is None and _own_cluster(address) is None
    with pytest.raises(ClusterError, match="must answer"):
        connect_ray(address)


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
