"""The whole way by one command, on a small sweep: to an answer, and to a clean end by Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

pytestmark = pytest.mark.ray

SPACE = """
import keras


def build(hp):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")]
    model = keras.Sequential([keras.Input((48, 48, 1)), *layers])
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    (tmp_path / "space.py").write_text(SPACE)
    content = {
        "name": "demo",
        "data": "replaced",
        "space": {"file": "space.py"},
        "scheduler": {"kind": "none", "max_epochs": 1},
        "max_trials": 2,
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "sweep.yaml"


def test_the_demo_serves_until_ctrl_c(tmp_path, sweep_file):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-m", "fer_ray", "demo", "--folder", "out"]
    # A cluster that the demo does not ask for.
    environment = {**os.environ, "COLUMNS": "200", "RAY_ADDRESS": "127.0.0.1:1"}
    process = subprocess.Popen(
        [*command, "--sweep", str(sweep_file), "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job has it ignored, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "Serving until Ctrl-C" in line:
            break
    output = "".join(seen)
    assert "Serving until Ctrl-C" in output, output
    assert re.search(r'"probability": 0\.\d+', output)
    assert re.search(r"Dashboard: +http://127\.0\.0\.1:\d+ \(token in ", output)
    assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200

    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "Stopping" in rest and "Traceback" not in rest
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")
