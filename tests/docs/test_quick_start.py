"""The quick start, typed as it stands on its page."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from doc_examples import ROOT, SHELL, YAML, blocks
from PIL import Image

from fer_ray.data import open_dataset

PAGE = ROOT / "docs" / "quick-start.md"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_every_command_works_in_its_order(tmp_path):
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    demo, *steps, ask = [block.code for block in blocks(PAGE, SHELL)]
    assert demo.strip() == "make demo"
    (*steps, serve) = [line for block in steps for line in block.splitlines()]
    assert serve.startswith("fer-ray serve deploy")
    (change,) = [yaml.safe_load(block.code) for block in blocks(PAGE, YAML)]
    for line in steps:
        done = typed(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if line.startswith("fer-ray sweep init"):
            edit(tmp_path / "my.yaml", change)
    faces = open_dataset(tmp_path / "data" / "faces")
    images, _ = faces.load("test")
    Image.fromarray(images[0, :, :, 0]).save(tmp_path / "face.jpg")
    endpoint = subprocess.Popen(["bash", "-c", f"exec {serve}"], cwd=tmp_path, env=environment(), text=True)
    try:
        for line in ask.splitlines():
            answer = answered(line, tmp_path, endpoint)
            assert any(name in answer for name in faces.classes), answer
    finally:
        endpoint.send_signal(signal.SIGINT)
        endpoint.wait(120)


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def edit(sweep_file: Path, change: dict[str, object]) -> None:
    sweep_file.write_text(yaml.safe_dump({**yaml.safe_load(sweep_file.read_text()), **change}))


def answered(line: str, folder: Path, endpoint: subprocess.Popen[str]) -> str:
    """What a command prints once the endpoint has come up."""
    until = time.monotonic() + 180
    while (done := typed(line, folder)).returncode != 0:
        assert endpoint.poll() is None and time.monotonic() < until, done.stderr
        time.sleep(2)
    return done.stdout
