"""The client against a real HTTP server of the standard library, and against the real application."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fer_ray.errors import ServingError
from fer_ray.serving import client as client_module
from fer_ray.serving.client import predict_files

Answers = list[tuple[int, bytes]]


@pytest.fixture
def server() -> Iterator[Callable[[Answers], str]]:
    """Answers one after the other, the last one for ever; counts the requests in `server.requests`."""
    running: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(found)
        threading.Thread(target=found.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{found.server_port}"

    yield start
    for found in running:
        found.shutdown()
        found.server_close()


@pytest.fixture
def face(tmp_path: Path, bright: bytes) -> Path:
    path = tmp_path / "face.png"
    path.write_bytes(bright)
    return path


def answer(count: int) -> bytes:
    prediction = {"label": "happy", "probability": 0.75, "probabilities": {"happy": 0.75, "sad": 0.25}}
    model = {"name": "faces", "version": "20261122T140501Z-3f9a2c", "labels": ["happy", "sad"]}
    return json.dumps({"model": model, "predictions": [prediction] * count, "timing_ms": {}}).encode()


def refusal(message: str) -> bytes:
    return json.dumps({"error": {"code": "x", "message": message}}).encode()


def test_an_answer(server: Callable[[Answers], str], face: Path) -> None:
    (found,) = predict_files([face], server([(200, answer(1))]) + "/")
    assert (found.file, found.label, found.probability) == (str(face), "happy", 0.75)
    assert found.model == "faces:20261122T140501Z-3f9a2c"


def test_many_files_go_in_batches(server: Callable[[Answers], str], face: Path) -> None:
    answers = [(200, answer(count)) for count in (32, 32, 6)]
    seen: list[int] = []
    url = server(answers)
    found = predict_files([face] * 70, url, progress=lambda stage, done, total: seen.append(done))
    assert len(found) == 70 and seen == [32, 64, 70]


def test_an_overloaded_endpoint_is_asked_again(server: Callable[[Answers], str], face: Path) -> None:
    url = server([(503, refusal("Busy.")), (503, b"plain text"), (200, answer(1))])
    assert predict_files([face], url)[0].label == "happy"


def test_an_endpoint_that_stays_overloaded_is_an_error(
    server: Callable[[Answers], str], face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_ATTEMPTS", 2)
    with pytest.raises(ServingError, match="503 Busy"):
        predict_files([face], server([(503, refusal("Busy."))]))


def test_a_refusal_is_not_asked_again_and_names_the_file(
    server: Callable[[Answers], str], face: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"no image")
    url = server([(400, refusal("Image 1: It is no image.")), (200, answer(2))])
    with pytest.raises(ServingError, match=r"other.png: It is no image\."):
        predict_files([face, other], url)
    assert len(predict_files([face, other], url)) == 2


@pytest.mark.parametrize("status", [404, 413, 500])
def test_an_error_without_our_shape_says_its_status(
    server: Callable[[Answers], str], face: Path, status: int
) -> None:
    with pytest.raises(ServingError, match=str(status)):
        predict_files([face], server([(status, b"Internal Server Error")]))


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", answer(2)])
def test_a_server_that_is_not_ours_is_said_so(
    server: Callable[[Answers], str], face: Path, body: bytes
) -> None:
    with pytest.raises(ServingError, match="as fer-ray does"):
        predict_files([face], server([(200, body)]))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "ftp://x", "http://[", ""])
def test_an_endpoint_that_is_not_there(face: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_ATTEMPTS", 1)
    with pytest.raises(ServingError, match="must be reachable"):
        predict_files([face], url)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"nothing\.png"):
        predict_files([tmp_path / "nothing.png"], "http://127.0.0.1:9")


def test_a_silent_endpoint_times_out(face: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServingError, match="must be reachable"):
            predict_files([face], url, timeout_s=0.3)


def test_no_files_no_request() -> None:
    assert predict_files([], "http://127.0.0.1:9") == []
