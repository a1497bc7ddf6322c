"""A cluster that has no room for a trial until Ray's autoscaler, either version of it, adds nodes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray


def waiting(nodes) -> str:
    """What `ray status` says is asked for."""
    command = [Path(sys.executable).with_name("ray"), "status", f"--address={nodes.address}"]
    done = subprocess.run(command, env=nodes.environment, capture_output=True, text=True, check=True)
    return done.stdout.partition("Demands:")[2]


@pytest.mark.slow
@pytest.mark.parametrize("second_version", ["0", "1"])
def test_a_sweep_waits_for_the_nodes_that_an_autoscaler_adds(nodes, sweeps, second_version):
    worker = {"CPU": 1, "object_store_memory": 100 * 2**20}
    nodes.start_head(0, grows=worker, RAY_enable_autoscaler_v2=second_version)
    # There will never be a third node: one trial waits, and the autoscaler sees it.
    sweep = sweeps.run("sweep", address=nodes.address, concurrency=3, max_trials=6)
    sweep.wait_for(lambda: len({epoch["worker"] for epoch in sweep.epochs()}) == 2)
    assert "{'CPU': 1.0} * 1" in waiting(nodes)
    result = sweep.result()
    assert result.outcome.ended == "max_trials" and len(result.trials) == 6
    sweeps.ledger.assert_kept(result)


def test_what_no_node_can_hold_is_refused_where_nothing_adds_nodes(nodes, sweeps):
    nodes.start_head(1)
    sweep = sweeps.run("sweep", address=nodes.address, resources={"cpu": 2})
    assert "a trial of 2 CPUs and 0 GPUs must fit on one node" in sweep.error()
    assert not sweep.path.exists()


@pytest.mark.slow
def test_the_second_version_is_asked_whether_it_can_add_what_is_wanted(nodes, sweeps):
    worker = {"CPU": 1, "object_store_memory": 100 * 2**20}
    nodes.start_head(0, grows=worker, RAY_enable_autoscaler_v2="1")
    sweep = sweeps.run("sweep", address=nodes.address, resources={"cpu": 2})
    assert "a trial of 2 CPUs and 0 GPUs must fit on one node" in sweep.error()
