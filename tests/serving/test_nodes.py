"""An endpoint on several nodes of one machine, as `fer-ray cluster up` starts them."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fer_ray.nodes import down, status, up
from fer_ray.ports import any_free_port
from fer_ray.registry.store import ModelVersion, Registry
from fer_ray.serving.deploy import deploy, stop

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_replicas_on_every_node_answer_behind_one_loopback_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, register_toy: Callable[..., ModelVersion], bright: bytes
) -> None:
    monkeypatch.setenv("FER_RAY_CLUSTER_STATE", str(tmp_path / "state"))
    registry = Registry(tmp_path / "registry")
    register_toy(registry)
    cluster = up(2, cpus=1)
    try:
        endpoint = deploy(
            "toy", registry=registry.uri, port=any_free_port(), replicas=2, address=cluster.address
        )
        try:
            assert endpoint.to_dict()["dashboard_token"] == str(cluster.token_file)
            answers = [
                httpx.post(f"{endpoint.url}/predict", content=bright, headers={"content-type": "image/png"})
                for _ in range(20)
            ]
            assert {answer.status_code for answer in answers} == {200}
            assert answers[0].json()["predictions"][0]["label"] == "bright"
            assert stop("toy", address=cluster.address) == ["fer-ray.toy"]
        finally:
            endpoint.close()
        assert {node.state for node in status().nodes} == {"alive"}
    finally:
        down()
