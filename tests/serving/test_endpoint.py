"""A real local Ray cluster with HAProxy: deploy, ask, break, replace under load, stop."""

import base64
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fer_ray.errors import ClusterError, ServingError
from fer_ray.registry.store import ModelVersion, Registry
from fer_ray.serving.client import predict_files
from fer_ray.serving.deploy import Endpoint, deploy, status, stop
from fer_ray.serving.limits import Limits

pytestmark = pytest.mark.ray


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def first(registry: Registry, register_toy: Callable[..., ModelVersion]) -> ModelVersion:
    return register_toy(registry)


@pytest.fixture(scope="module")
def endpoint(registry: Registry, first: ModelVersion, small_limits: Limits) -> Iterator[Endpoint]:
    found = deploy("toy", registry=registry.uri, port=free_port(), limits=small_limits)
    yield found
    folder = found.cluster.settings.folder  # type: ignore[union-attr]
    found.close()
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found.url}/healthz")
    assert str(folder) not in subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout


def label_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert abs(sum(answer.json()["predictions"][0]["probabilities"].values()) - 1) < 1e-6
    return str(answer.json()["predictions"][0]["label"])


def served_version(endpoint: Endpoint) -> str:
    body = httpx.get(f"{endpoint.url}/model").json()
    return f"{body['name']}:{body['version']}"


def test_raw_form_and_json(endpoint: Endpoint, first: ModelVersion, bright: bytes, dark: bytes) -> None:
    with httpx.Client(base_url=endpoint.url) as client:
        assert label_of(client.post("/predict", content=bright)) == "bright"
        assert label_of(client.post("/predict", files={"image": dark})) == "dark"
        images = [base64.b64encode(dark).decode(), base64.b64encode(bright).decode()]
        answer = client.post("/predict", json={"images": images})
        assert [found["label"] for found in answer.json()["predictions"]] == ["dark", "bright"]
        assert answer.json()["model"]["version"] == first.version
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.get("/model").json()["engine"] == "onnx"
        assert client.get("/docs").status_code == 200 and client.get("/openapi.json").status_code == 200


def test_broken_requests_get_one_sentence_through_haproxy(
    endpoint: Endpoint,
    broken_requests: dict[str, tuple[int, list[dict[str, Any]]]],
    send: Callable[..., httpx.Response],
) -> None:
    with httpx.Client(base_url=endpoint.url, timeout=30) as client:
        for kind, (status_code, requests) in broken_requests.items():
            for request in requests:
                answer = send(client, request)
                assert answer.status_code == status_code or status_code == 0, (kind, answer.text)
                assert 400 <= answer.status_code < 500, (kind, answer.text)
                assert answer.json()["error"]["message"].endswith("."), kind


@pytest.mark.parametrize("megabytes", [1, 40])
def test_a_body_far_over_the_limit_gets_its_413_through_haproxy(endpoint: Endpoint, megabytes: int) -> None:
    chunks = [b"x" * 1_000_000] * megabytes
    assert httpx.post(f"{endpoint.url}/predict", content=b"".join(chunks), timeout=30).status_code == 413
    assert httpx.post(f"{endpoint.url}/predict", content=iter(chunks), timeout=30).status_code == 413


def test_the_client_reads_files(endpoint: Endpoint, tmp_path: Path, bright: bytes, dark: bytes) -> None:
    paths = []
    for number in range(5):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(dark if number % 2 else bright)
    answers = predict_files(paths[:4], endpoint.url)
    assert [answer.label for answer in answers] == ["bright", "dark"] * 2
    assert answers[0].model == endpoint.model


def test_only_loopback_is_bound(endpoint: Endpoint) -> None:
    listening = subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout
    assert "haproxy -db" in listening
    config = next(endpoint.cluster.settings.folder.glob("*/haproxy.cfg"))  # type: ignore[union-attr]
    binds = [line.split()[1] for line in config.read_text().splitlines() if line.split()[:1] == ["bind"]]
    assert len(binds) == 3 and all(bind.startswith("127.0.0.1:") for bind in binds), binds


def test_status_and_a_second_deploy_elsewhere(endpoint: Endpoint, registry: Registry) -> None:
    (found,) = status(None)
    assert (found.status, found.model, found.url) == ("RUNNING", endpoint.model, endpoint.url)
    assert found.replicas == {"RUNNING": 1}
    with pytest.raises(ServingError, match="runs already at 127"):
        deploy("toy", registry=registry.uri, port=free_port())
    with pytest.raises(ServingError, match="must have 1000 cores"):
        deploy("toy", registry=registry.uri, port=int(endpoint.url.rpartition(":")[2]), replicas=1000)


def test_a_new_version_replaces_the_old_one_without_a_failed_request(
    endpoint: Endpoint,
    registry: Registry,
    register_toy: Callable[..., ModelVersion],
    small_limits: Limits,
    bright: bytes,
) -> None:
    done, answers, failures = threading.Event(), [], []

    def ask() -> None:
        while not done.is_set():
            try:
                answer = httpx.post(f"{endpoint.url}/predict", content=bright, timeout=20)
                answers.append(answer.json()["model"]["version"])
            except Exception as error:  # whatever it is, it is a failed request
                failures.append(repr(error))
            time.sleep(0.02)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    second = register_toy(registry, bias=1.0)
    port = int(endpoint.url.rpartition(":")[2])
    replaced = deploy("toy", registry=registry.uri, port=port, limits=small_limits)
    assert replaced.model == second.reference
    replaced.close()  # the connection was there before, so it stays
    time.sleep(10)  # the old replica drains for 5 s
    done.set()
    for asker in askers:
        asker.join()
    assert not failures and len(answers) > 50
    assert answers[0] != answers[-1] == second.version
    # Once a client has seen the new version, at most the drain brings the old one back.
    assert set(answers[-20:]) == {second.version}


def test_two_models_share_a_cluster_on_two_routes(
    endpoint: Endpoint, registry: Registry, register_toy: Callable[..., ModelVersion], dark: bytes
) -> None:
    second = register_toy(registry, name="other-faces")
    port = int(endpoint.url.rpartition(":")[2])
    with pytest.raises(ServingError, match="Prefix / is being used"):
        deploy("other-faces", registry=registry.uri, port=port)
    found = deploy("other-faces", registry=registry.uri, port=port, route="/other")
    assert found.url == f"{endpoint.url}/other"
    answer = httpx.post(f"{found.url}/predict", content=dark)
    assert label_of(answer) == "dark" and answer.json()["model"]["name"] == "other-faces"
    assert "/other/openapi.json" in httpx.get(found.docs_url).text
    assert httpx.get(f"{found.url}/nothing").json()["error"]["code"] == "not_found"
    assert [row.model for row in status(None)] == [second.reference, served_version(endpoint)]
    assert stop("other-faces", address=None) == ["fer-ray.other-faces"]
    assert label_of(httpx.post(f"{endpoint.url}/predict", content=dark)) == "dark"


def test_stop_takes_only_ours_and_nothing_that_comes_while_it_drains(endpoint: Endpoint) -> None:
    from ray import serve

    @serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0})
    class Other:
        def __call__(self, request: Any) -> str:
            return "other"

    with pytest.raises(ServingError, match="served: toy"):
        stop("nothing", address=None)
    with ThreadPoolExecutor() as executor:
        stopping = executor.submit(stop, address=None)
        while [row.status for row in status(None)] == ["RUNNING"]:
            assert not stopping.done()
        serve.run(Other.bind(), name="theirs", route_prefix="/theirs")
        assert stopping.result() == ["fer-ray.toy"]
    assert status(None) == []
    assert httpx.get(f"{endpoint.url}/theirs").text == "other"


def test_an_address_of_another_cluster_is_not_overlooked(endpoint: Endpoint, registry: Registry) -> None:
    own = endpoint.cluster.address
    _, _, port = own.rpartition(":")
    for address in (own, f"localhost:{port}", "auto", None):
        assert status(address) == []
    for address in (f"{own}0", f"192.0.2.1:{port}"):
        for call in (status, lambda address: stop(address=address)):
            with pytest.raises(ClusterError, match=rf"connected to, {own}\. Received: {address}"):
                call(address)
        with pytest.raises(ClusterError, match="this process is connected to"):
            deploy("toy", registry=registry.uri, address=address)
