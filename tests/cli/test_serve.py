import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BODY = {
    "model": {"name": "faces", "version": "20261122T140501Z-3f9a2c", "labels": ["happy", "sad"]},
    "predictions": [{"label": "happy", "probability": 0.75, "probabilities": {"happy": 0.75, "sad": 0.25}}],
    "timing_ms": {},
}


def fer_ray(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from fer_ray.cli.app import main; main()"
    environment = {**os.environ, "COLUMNS": "120"}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture
def url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            content = json.dumps(BODY).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_predict_prints_a_table_and_json(url: str, tmp_path: Path) -> None:
    face = tmp_path / "face.png"
    face.write_bytes(b"the server above does not look at it")
    table = fer_ray("predict", str(face), "--url", url)
    assert table.returncode == 0 and "happy" in table.stdout and "0.7500" in table.stdout
    (found,) = json.loads(fer_ray("predict", str(face), "--url", url, "--json").stdout)
    assert found["probabilities"] == {"happy": 0.75, "sad": 0.25} and found["file"] == str(face)


def test_predict_fails_with_one_line(tmp_path: Path) -> None:
    result = fer_ray("predict", str(tmp_path / "nothing.png"), "--url", "http://127.0.0.1:9")
    assert result.returncode == 1 and not result.stdout
    assert result.stderr.count("\n") == 1 and "nothing.png" in result.stderr


def test_deploy_of_an_unknown_model_fails_before_ray_starts(tmp_path: Path) -> None:
    result = fer_ray("serve", "deploy", "nothing", "--registry", str(tmp_path))
    assert result.returncode == 1 and "registered" in result.stderr and result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["status"], ["stop"], ["stop", "toy"]])
def test_a_cluster_that_is_not_there_is_one_line(command: list[str]) -> None:
    result = fer_ray("serve", *command, "--address", "127.0.0.1:9")
    assert result.returncode == 1 and "must answer" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.ray
def test_deploy_serves_until_ctrl_c(tmp_path: Path) -> None:
    script = Path(__file__).with_name("register_toy.py")
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from fer_ray.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", "deploy", "toy", "--registry", str(tmp_path)]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "until Ctrl-C" in line:
                break
        shown = "".join(lines)
        assert f"http://127.0.0.1:{port}/predict" in shown and "its token: " in shown
        taken = fer_ray("serve", "deploy", "toy", "--registry", str(tmp_path), "--port", str(port))
        assert taken.returncode == 1 and "must be free" in taken.stderr
        face = tmp_path / "face.png"
        face.write_bytes((tmp_path / "bright.png").read_bytes())
        predicted = fer_ray("predict", str(face), "--url", f"http://127.0.0.1:{port}", "--json")
        assert json.loads(predicted.stdout)[0]["label"] == "bright"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
