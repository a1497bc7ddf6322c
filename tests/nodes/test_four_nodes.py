"""Nodes with addresses of their own, as benchmarks/four_nodes.py makes them: in its quick form, and stopped."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def network_namespaces():
    """Where they cannot be made there is nothing to see."""
    spec = importlib.util.spec_from_file_location("namespaces", BENCHMARKS / "namespaces.py")
    namespaces = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(namespaces)
    if reason := namespaces.why_not():
        pytest.skip(f"{namespaces.NEEDS}: {reason}")


def start() -> subprocess.Popen:
    command = [sys.executable, str(BENCHMARKS / "four_nodes.py"), "--quick"]
    # A shell's background job has Ctrl-C ignored, and so would its children.
    ask = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **ask)


def namespaces_of(process: subprocess.Popen) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith(f"fer-ray-{process.pid}-")]


def test_a_sweep_loses_nothing_while_nodes_join_die_and_come_back():
    process = start()
    output, errors = process.communicate(timeout=580)
    assert process.returncode == 0, output + errors
    assert namespaces_of(process) == []
    figures = json.loads(output.splitlines()[-1])
    assert (figures["lost"], figures["doubled"], figures["failed_trials"]) == (0, 0, 0), figures
    assert figures["retries_used"] == 0
    (sweep,) = figures["sweeps"]
    assert [event["event"] for event in sweep["events"]] == [
        "10.77.0.4 joins",
        "10.77.0.2 is killed",
        "10.77.0.3 is cut off",
        "10.77.0.3 comes back",
    ]
    assert sweep["most_trials_at_a_time"] == 4
    assert sweep["epochs_compared"] > 30
    assert (sweep["epochs_that_differ"], sweep["decisions_that_differ"]) == (0, 0)
    # A node was killed between an epoch's line in the ledger and its checkpoint; another lies at the third epoch.
    assert figures["epochs_repeated"] >= 1 and figures["epochs_repeated_max"] <= 10


def test_ctrl_c_takes_all_of_it_away():
    process = start()
    while not namespaces_of(process):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(8)  # now Ray's nodes start
    assert namespaces_of(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode
    assert namespaces_of(process) == []
