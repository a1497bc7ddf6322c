"""Sweeps as processes of their own: killed, interrupted, and resumed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.ray

COMMAND = [sys.executable, "-m", "fer_ray", "sweep"]


@pytest.fixture
def sweep_file(tmp_path, faces, plain_space) -> Path:
    path = tmp_path / "sweep.yaml"
    content = {
        "name": "long",
        "data": str(faces),
        "space": {"file": str(plain_space)},
        "scheduler": {"kind": "asha", "eta": 3, "grace": 3, "max_epochs": 120},
        "max_trials": 4,
        "concurrency": 2,
        "folder": str(tmp_path / "sweeps"),
        "model": {"register_winner": False},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def start(*arguments: str, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_epochs(journal: Path, count: int, process: subprocess.Popen) -> list[dict]:
    for _ in range(1200):
        lines = journal.read_text().splitlines() if journal.exists() else []
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("no epochs in two minutes")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_ended_driver_loses_no_result(tmp_path, sweep_file, end):
    process = start("run", str(sweep_file), cwd=tmp_path)
    folder = tmp_path / "sweeps" / "long"
    before = wait_for_epochs(folder / "epochs.jsonl", 10, process)
    process.send_signal(end)
    output, _ = process.communicate(timeout=120)
    if end is signal.SIGTERM:
        assert process.returncode == 0, output
        assert "interrupted" in output and "sweep resume" in output

    resumed = start("resume", str(folder), "--json", cwd=tmp_path)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output

    rows = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    assert rows[: len(before)] == before
    result = json.loads(output[output.index("{") :])
    assert result["outcome"]["ended"] == "max_trials"
    trained: dict[int, set[int]] = {}
    for row in rows:
        trained.setdefault(row["trial"], set()).add(row["epoch"])
    assert sorted(trained) == [0, 1, 2, 3]
    # No epoch is missing from any trial: each went on from a checkpoint, not from thin air.
    assert all(epochs == set(range(1, max(epochs) + 1)) for epochs in trained.values())
    # Repeated epochs (after a kill) came out the same, bit for bit.
    values: dict[tuple[int, int], float] = {}
    for row in rows:
        assert values.setdefault((row["trial"], row["epoch"]), row["val_accuracy"]) == row["val_accuracy"]


def test_two_processes_do_not_run_one_sweep(tmp_path, sweep_file):
    process = start("run", str(sweep_file), cwd=tmp_path)
    folder = tmp_path / "sweeps" / "long"
    try:
        wait_for_epochs(folder / "epochs.jsonl", 1, process)
        second = start("resume", str(folder), cwd=tmp_path)
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "is being run by another process" in output
        assert "Traceback" not in output
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
