"""Nodes that die under a sweep, and several sweeps on one cluster: real nodes, drivers of their own."""

import signal

import optuna
import psutil
import pytest

from fer_ray.search.storage import open_storage

pytestmark = pytest.mark.ray


def test_a_node_that_joins_is_used_and_costs_no_retry_when_it_is_killed(nodes, sweeps):
    nodes.start_head(1)
    scheduler = {"eta": 3, "grace": 6, "max_epochs": 20}
    sweep = sweeps.run("sweep", address=nodes.address, retries=0, scheduler=scheduler)
    # By then the cluster's room was counted.
    sweep.wait_for(lambda: "discovering the space" in sweep.output.read_text())
    second = nodes.start_node(1)

    def trains_between_rungs() -> bool:
        lines = [line for line in sweeps.ledger.read() if line[2] in nodes.processes(second)]
        return bool(lines) and lines[-1][1] in (2, 3, 8, 9)

    sweep.wait_for(trains_between_rungs)
    before = sweep.epochs()
    nodes.kill(second)
    result = sweep.result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 4
    assert result.outcome.workers == 2
    sweeps.ledger.assert_kept(result)
    assert sweep.epochs()[: len(before)] == before
    # From the start or from the sixth epoch's checkpoint; the next rungs are after epochs 6 and 18.
    assert 1 <= sweeps.ledger.repeated() <= 6


@pytest.mark.slow
def test_a_node_that_is_taken_away_with_notice_uses_up_no_retry(nodes, sweeps):
    nodes.start_head(1)
    second = nodes.start_node(1)
    sweep = sweeps.run("sweep", address=nodes.address, retries=0)
    sweep.wait_for(lambda: any(line[2] in nodes.processes(second) for line in sweeps.ledger.read()))
    nodes.take_away(second, notice=3)
    result = sweep.result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 4
    sweeps.ledger.assert_kept(result)
    study = optuna.load_study(study_name="sweep", storage=open_storage(result.spec))
    assert not any("lost_workers" in trial.user_attrs for trial in study.trials)


@pytest.mark.slow
def test_a_killed_head_ends_the_sweep_with_one_error_and_another_head_goes_on(nodes, sweeps):
    # Ray is asked for 20 seconds, several times, before a sweep gives up.
    sweeps.environment["RAY_gcs_server_request_timeout_seconds"] = "5"
    head = nodes.start_head(2)
    sweep = sweeps.run("sweep", address=nodes.address)
    sweep.wait_for(lambda: len(sweep.epochs()) >= 10)
    nodes.kill(head)
    assert f"Error: Ray cluster {nodes.address}: its head must stay up." in sweep.error()
    before = sweep.epochs()

    nodes.start_head(2)
    again = sweeps.resume("sweep", "--address", nodes.address)
    result = again.result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 4
    sweeps.ledger.assert_kept(result)
    assert again.epochs()[: len(before)] == before


@pytest.mark.slow
def test_a_killed_head_of_the_local_cluster_ends_the_sweep_with_one_error(sweeps):
    sweeps.environment["RAY_gcs_server_request_timeout_seconds"] = "5"
    sweep = sweeps.run("sweep")
    sweep.wait_for(lambda: len(sweep.epochs()) >= 10)
    started = psutil.Process(sweep.process.pid).children(recursive=True)
    (head,) = (process for process in started if process.name() == "gcs_server")
    head.kill()
    assert "its head must stay up" in sweep.error()
    before = sweep.epochs()
    # Ray's agents notice in up to a minute that their node is gone.
    _, alive = psutil.wait_procs(started, timeout=120)
    assert not alive

    result = sweeps.resume("sweep").result()

    assert result.outcome.ended == "max_trials" and len(result.trials) == 4
    sweeps.ledger.assert_kept(result)
    assert sweep.epochs()[: len(before)] == before


def test_a_sweep_waits_for_room_and_says_so(nodes, sweeps):
    nodes.start_head(1)
    first = sweeps.run("first", address=nodes.address, scheduler={"kind": "none", "max_epochs": 5000})
    first.wait_for(lambda: len(first.epochs()) >= 3)
    second = sweeps.run("second", address=nodes.address, max_trials=2)
    second.wait_for(lambda: "waiting for 1 free CPUs" in second.output.read_text())
    assert not second.epochs()
    first.process.send_signal(signal.SIGINT)

    assert second.result().outcome.ended == "max_trials"
    assert first.result().outcome.ended == "interrupted"
