import base64
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from fer_ray.errors import ServingError
from fer_ray.serving.app import create_app
from fer_ray.serving.limits import Limits
from fer_ray.serving.predictor import Predictor, ServedModel

Broken = dict[str, tuple[int, list[dict[str, Any]]]]
KINDS = [
    "empty",
    "no image",
    "truncated",
    "foreign format",
    "content type",
    "too many bytes",
    "too many pixels",
    "broken JSON",
    "wrong fields",
    "bad base64",
    "bad form",
    "bad box",
    "too many images",
    "path or method",
]


def labels_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    for prediction in answer.json()["predictions"]:
        shares = prediction["probabilities"]
        assert abs(sum(shares.values()) - 1) < 1e-6
        assert shares[prediction["label"]] == prediction["probability"] == max(shares.values())
    return [prediction["label"] for prediction in answer.json()["predictions"]]


def test_raw_bytes(client: TestClient, bright: bytes, dark: bytes) -> None:
    for kind in ("image/png", "application/octet-stream", "IMAGE/PNG; charset=binary"):
        headers = {"Content-Type": kind}
        assert labels_of(client.post("/predict", content=bright, headers=headers)) == ["bright"]
        assert labels_of(client.post("/predict", content=dark, headers=headers)) == ["dark"]
    assert labels_of(client.post("/predict", content=dark)) == ["dark"]


def test_forms_keep_the_order_whatever_the_fields_are_called(
    client: TestClient, bright: bytes, dark: bytes
) -> None:
    files = [("image", bright), ("image", dark), ("other", ("x.png", bright, "image/png"))]
    assert labels_of(client.post("/predict", files=files)) == ["bright", "dark", "bright"]


def test_json_with_base64_and_data_urls(client: TestClient, bright: bytes, dark: bytes) -> None:
    images = [base64.b64encode(bright).decode(), "data:image/png;base64," + base64.b64encode(dark).decode()]
    assert labels_of(client.post("/predict", json={"images": images})) == ["bright", "dark"]


def test_answers_are_the_models_own(client: TestClient, served: ServedModel, bright: bytes) -> None:
    answer = client.post("/predict", content=bright).json()
    expected = served.engine.predict(np.full((1, 8, 8, 1), 240, np.uint8))[0]
    assert np.allclose(list(answer["predictions"][0]["probabilities"].values()), expected, atol=1e-6)
    assert answer["model"]["name"] == "toy" and answer["model"]["version"] == served.description.version
    assert answer["model"]["labels"] == ["dark", "bright", "tilted"]
    assert answer["timing_ms"].keys() == {"decode", "predict"}


def test_boxes_choose_the_face(client: TestClient, encode: Callable[..., bytes], photo: np.ndarray) -> None:
    image = encode(photo)
    assert labels_of(client.post("/predict", content=image)) == ["tilted"]
    right = client.post("/predict?box=50,20,70,40", content=image)
    assert labels_of(right) == ["bright"]
    body = {"images": [base64.b64encode(image).decode()] * 2, "boxes": [[10, 20, 30, 40], None]}
    assert labels_of(client.post("/predict", json=body)) == ["dark", "tilted"]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_broken_requests_get_a_4xx_and_one_sentence(
    client: TestClient, broken_requests: Broken, send: Callable[..., httpx.Response], kind: str, number: int
) -> None:
    assert list(broken_requests) == KINDS
    status, requests = broken_requests[kind]
    assert len(requests) == 5
    answer = send(client, requests[number])
    assert answer.status_code == status or (status == 0 and answer.status_code in (404, 405)), answer.text
    error = answer.json()["error"]
    assert answer.json().keys() == {"error"} and error.keys() == {"code", "message"}
    assert error["message"].endswith(".") and "\n" not in error["message"] and len(error["message"]) < 250
    assert "Traceback" not in answer.text and "site-packages" not in answer.text


def test_one_bad_image_of_several_is_named(client: TestClient, bright: bytes) -> None:
    answer = client.post("/predict", files=[("image", bright), ("image", b"no image")])
    assert answer.status_code == 400 and answer.json()["error"]["message"].startswith("Image 1: ")


def test_a_stream_that_never_ends_is_cut_off_at_the_limit(client: TestClient) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 10_000_000:
            sent += 10_000
            yield b"x" * 10_000

    assert client.post("/predict", content=endless()).status_code == 413


def test_health_model_and_pages(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/model").json()["card"] == "# toy"
    assert "predict" in client.get("/").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/healthz", "/readyz", "/model"} == set(paths)
    content = paths["/predict"]["post"]["requestBody"]["content"]
    assert "image/png" in content and content["application/json"]["example"]["images"]
    assert {"200", "400", "413", "415", "422", "503"} <= set(paths["/predict"]["post"]["responses"])


def test_the_openapi_page_loads_its_own_scripts(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "://" not in page
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3
    assert [client.get(path).status_code for path in loaded] == [200, 200, 200]


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    assert "http://" not in client.get("/").text and "https://" not in client.get("/").text


def test_not_ready_before_the_first_prediction(served: ServedModel) -> None:
    predictor = Predictor(model=served)
    client = TestClient(create_app(predictor))
    assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
    predictor.probe()
    assert client.get("/readyz").status_code == 200


class SlowEngine:
    """The real engine, held up until the test lets it go."""

    def __init__(self, model: ServedModel) -> None:
        self.model, self.go_on, self.begun = model, threading.Event(), threading.Semaphore(0)

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.begun.release()
        assert self.go_on.wait(20)
        return self.model.engine.predict(images)


def test_too_many_requests_get_503_and_the_event_loop_stays_free(served: ServedModel, bright: bytes) -> None:
    engine = SlowEngine(served)
    predictor = Predictor(model=replace(served, engine=engine), limits=Limits(max_pending=3))
    with TestClient(create_app(predictor)) as client, ThreadPoolExecutor(4) as threads:
        held = [threads.submit(client.post, "/predict", content=bright) for _ in range(3)]
        assert engine.begun.acquire(timeout=20)
        while predictor._pending < 3:
            pass
        assert client.get("/healthz").status_code == 200
        refused = client.post("/predict", content=bright)
        assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
        assert refused.json()["error"]["code"] == "overloaded"
        engine.go_on.set()
        assert [labels_of(answer.result()) for answer in held] == [["bright"]] * 3
        assert labels_of(client.post("/predict", content=bright)) == ["bright"]


class BrokenEngine:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.array(self.answer, np.float32)


@pytest.mark.parametrize("answer", [[[np.nan] * 3], [[0.2, 0.2, 0.2]], [[0.5, 0.5]], [[-0.5, 0.5, 1.0]]])
def test_a_model_that_gives_no_probabilities_is_a_fault_of_the_server(
    served: ServedModel, bright: bytes, answer: object
) -> None:
    predictor = Predictor(model=replace(served, engine=BrokenEngine(answer)))
    with pytest.raises(ServingError, match="probabilities"):
        predictor.probe()
    assert not predictor.ready
    client = TestClient(create_app(predictor), raise_server_exceptions=False)
    response = client.post("/predict", content=bright)
    assert response.status_code == 500 and response.json()["error"]["code"] == "internal"
    assert "probabilities" not in response.text
