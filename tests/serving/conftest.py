"""A tiny real ONNX model, images and an application around it."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fer_ray.export.onnx_model import OnnxModel
from fer_ray.registry.store import ModelVersion, Registry
from fer_ray.serving.app import create_app
from fer_ray.serving.limits import Limits
from fer_ray.serving.predictor import Predictor, ServedModel
from fer_ray.serving.schemas import ModelDescription

LABELS = ("dark", "bright", "tilted")
SHAPE = (8, 8, 1)


def write_model(path: Path, *, bias: float = 0.0) -> Path:
    """Pixels -> quadrant means -> three logits -> softmax: bright, dark, or brighter on the right."""
    left = np.zeros((8, 8, 1), np.float32)
    left[:, :4] = 1 / 32
    right = left[:, ::-1]
    pooled = np.stack([left.ravel(), right.ravel()], axis=1) / 255
    logits = np.array([[-4, 4, -6], [-4, 4, 6]], np.float32)
    weights = (pooled @ logits).astype(np.float32)
    offsets = np.array([4 + bias, -4, 0], np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights", "offsets"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *SHAPE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LABELS)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(offsets, "offsets")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def register_toy(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., ModelVersion]:
    """Registers a version of the toy model; `bias` moves its answers towards dark."""

    def register(registry: Registry, *, bias: float = 0.0, name: str = "toy") -> ModelVersion:
        folder = tmp_path_factory.mktemp("built")
        write_model(folder / "model.onnx", bias=bias)
        fields = {
            "labels": LABELS,
            "input_shape": SHAPE,
            "engines": {"onnx": "model.onnx"},
            "default_engine": "onnx",
            "data": {"name": "drawn", "fingerprint": "0" * 64},
        }
        return registry.register(name, folder, fields)

    return register


def encode(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def bright() -> bytes:
    return encode(np.full((20, 30), 240, np.uint8))


@pytest.fixture(scope="session")
def dark() -> bytes:
    return encode(np.full((20, 30), 10, np.uint8))


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """RGB, 60 x 80, left half dark, right half bright, with a little noise."""
    noise = np.random.default_rng(5).integers(0, 20, (60, 80, 3))
    noise[:, 40:] += 200
    return noise.astype(np.uint8)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    path = write_model(tmp_path_factory.mktemp("toy") / "model.onnx")
    description = ModelDescription(
        name="toy",
        version="20261122T140501Z-3f9a2c",
        labels=list(LABELS),
        input_shape=list(SHAPE),
        engine="onnx",
        card="# toy",
    )
    return ServedModel(description=description, engine=OnnxModel(path))


@pytest.fixture(scope="session")
def small_limits() -> Limits:
    return Limits(max_body_bytes=200_000, max_images=4, max_pixels=1_000_000, max_total_pixels=1_500_000)


@pytest.fixture(scope="session")
def client(served: ServedModel, small_limits: Limits) -> TestClient:
    predictor = Predictor(model=served, limits=small_limits)
    predictor.probe()
    return TestClient(create_app(predictor), raise_server_exceptions=False)


def _as(kind: str, content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": kind}}


def _form(body: bytes, boundary: str = "; boundary=x") -> dict[str, Any]:
    return _as(f"multipart/form-data{boundary}", body)


def _part(name: str, content: bytes, more: str = '; filename="a.png"') -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


@pytest.fixture(scope="session")
def broken_requests(bright: bytes, photo: np.ndarray) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """Kind to the status it must get and five requests of that kind, for limits as `small_limits`."""
    big = b"x" * 200_001
    text = base64.b64encode(bright).decode()
    halves = [encode(photo, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF")]
    foreign = [encode(photo, kind) for kind in ("TIFF", "AVIF", "JPEG2000", "ICO")]
    bombs = [(1001, 1000), (1, 1_000_001), (9000, 9000), (20_000, 20_000)]
    ones = [encode(np.zeros((height, width), bool)) for height, width in bombs]
    two = {"files": [("image", encode(np.zeros((900, 1000), bool)))] * 2}
    return {
        "empty": (400, [_as("image/png", b""), _as("application/json", b""), _as("image/jpeg", b""), {},
                        _as("application/octet-stream", b"")]),
        "no image": (400, [_as("image/png", b"hello"), _as("image/jpeg", b"<html></html>"),
                           _as("image/webp", bytes(range(256))), _as("application/octet-stream", b"\0" * 99),
                           {"files": {"image": b"GIF89"}}]),
        "truncated": (400, [_as("image/png", data[: len(data) * 2 // 3]) for data in halves]),
        "foreign format": (415, [_as("application/octet-stream", data) for data in [*foreign, b"%PDF-1.4"]]),
        "content type": (415, [_as(kind, bright) for kind in ("text/plain", "video/mp4", "image/tiff",
                               "application/x-www-form-urlencoded", "application/xml")]),
        "too many bytes": (413, [_as("image/png", big), {"files": {"image": big}}, _as("application/json", big),
                                 {"chunks": [big[:50_000]] * 5}, {"json": {"images": [text] * 2000}}]),
        "too many pixels": (413, [*(_as("image/png", data) for data in ones), two]),
        "broken JSON": (400, [_as("application/json", body) for body in (b"{", b"images", b'{"images": [',
                              b'\xff\xfe', b'{"images": ["a",]}')]),
        "wrong fields": (422, [{"json": body} for body in ({}, {"images": text}, {"images": [1]}, {"images": []},
                               {"images": [text], "boxes": [[1, 2, 3]]})]),
        "bad base64": (400, [{"json": {"images": [body]}} for body in ("???", "abc", "a=bc", text[:-3] + "*",
                             "data:image/png;base64,\u00fc")]),
        "bad form": (400, [_form(b"--x", ""), _form(b"nonsense"), _form(_part("image", b"text", "") + b"--x--"),
                           _form(b"--x--"), _form(_part("", bright)[:40])]),
        "bad box": (400, [{**_as("image/png", bright), "params": {"box": box}} for box in ("1,2,3", "a,b,c,d",
                          "40,0,50,10", "5,5,5,9", ["0,0,9,9", "0,0,9,9"])]),
        "too many images": (413, [{"files": [("image", bright)] * count} for count in (5, 6)]
                            + [{"json": {"images": [text] * count}} for count in (5, 6, 99)]),
        "path or method": (0, [{"method": "GET"}, {"method": "PUT"}, {"method": "DELETE"}, {"path": "/predictions"},
                               {"path": "/../../etc/passwd"}]),
    }  # fmt: skip


@pytest.fixture(scope="session")
def send() -> Callable[..., httpx.Response]:
    """Sends one of the broken requests; chunks go without a Content-Length."""

    def send(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
        options = dict(request)
        method, path = options.pop("method", "POST"), options.pop("path", "/predict")
        if "chunks" in options:
            options["content"] = iter(options.pop("chunks"))
        return client.request(method, path, **options)

    return send


@pytest.fixture(scope="session", name="encode")
def encode_fixture() -> Callable[..., bytes]:
    return encode
