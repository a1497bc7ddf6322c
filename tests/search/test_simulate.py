"""Recorded curves, and sweeps over them under a virtual clock."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.errors import DataError
from fer_ray.search.curves import RecordedCurves, read_curves, write_curves
from fer_ray.search.simulate import Costs, simulate
from fer_ray.search.spec import SweepSpec

FREE = Costs(startup=0, trial=0, checkpoint=0)


def entry(name):
    config = {"name": name, "default": None, "conditions": [], "min_value": 0.0, "max_value": 1.0}
    return {"class_name": "Float", "config": {**config, "step": None, "sampling": "linear"}}


SPACE = {"space": [entry("x"), entry("y")], "values": {}}


def rows_of(configurations=300, epochs=9, seconds=10.0, seed=0):
    """Best at (0.6, 0.6); the order after one epoch is the last one's."""
    points = np.random.default_rng(seed).random((configurations, 2))
    return [
        {
            "configuration": number,
            "epoch": epoch,
            "seconds": epoch * seconds,
            "val_accuracy": (1 - float(((point - 0.6) ** 2).sum())) * (1 - math.exp(-epoch / 3)),
            "hp.x": float(point[0]),
            "hp.y": float(point[1]),
        }
        for number, point in enumerate(points)
        for epoch in range(1, epochs + 1)
    ]


@pytest.fixture(scope="module")
def curves_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("curves") / "curves.parquet"
    write_curves(path, rows_of(), SPACE)
    return path


@pytest.fixture(scope="module")
def curves(curves_file):
    return read_curves(curves_file, "val_accuracy")


def spec_of(**changes):
    content = {"name": "s", "data": "none", "space": {"file": "none.py"}, "searcher": {"kind": "random"}}
    return SweepSpec.parse({**content, "max_trials": 60, **changes})


def test_a_recorded_configuration_has_its_own_curve(curves):
    for number in (0, 7, 299):
        curve = curves.curve(curves.configurations[number])
        recorded = [row["val_accuracy"] for row in rows_of() if row["configuration"] == number]
        assert curve.values == pytest.approx(recorded, abs=1e-6)
        assert curve.seconds == pytest.approx([10.0] * 9)


def test_another_configuration_lies_between_its_neighbours(curves):
    values = {"x": 0.61, "y": 0.6}
    truth = 1 - 0.01**2
    assert curves.curve(values).values[-1] == pytest.approx(truth * (1 - math.exp(-3)), abs=0.01)


def test_where_the_nearest_diverged_it_diverges_and_short_curves_count_as_diverged():
    rows = [row for row in rows_of(20) if row["configuration"] != 3 or row["epoch"] < 3]
    for row in rows:
        if row["configuration"] == 5 and row["epoch"] > 4:
            row["val_accuracy"] = math.nan
    found = RecordedCurves(pa.Table.from_pylist(rows), "val_accuracy", neighbours=1)
    assert np.isnan(found.curve(found.configurations[3]).values).tolist() == [False] * 2 + [True] * 7
    assert np.isnan(found.curve(found.configurations[5]).values).tolist() == [False] * 4 + [True] * 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows], "a column seconds"),
        (lambda rows: [{**row, "epoch": row["epoch"] + 1} for row in rows], "epochs must be 1, 2, 3"),
        (lambda rows: [{**row, "seconds": 5.0} for row in rows], "seconds must grow"),
        (
            lambda rows: [{k: v for k, v in row.items() if not k.startswith("hp")} for row in rows],
            "must have columns hp.<name>",
        ),
        (lambda rows: [{**row, "hp.z": None if row["configuration"] else 1} for row in rows], "has nulls"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        RecordedCurves(pa.Table.from_pylist(change(rows_of(4))), "val_accuracy")


@pytest.mark.parametrize("scheduler", [{"kind": "none"}, {"variant": "stopping"}, {"variant": "promotion"}])
def test_one_worker_takes_the_sum_of_its_epochs(curves, scheduler):
    found = simulate(spec_of(scheduler=scheduler), curves, 1, FREE)
    assert found.seconds == pytest.approx(found.epochs * 10)
    assert (found.ended, found.trials, found.repeated) == ("max_trials", 60, 0)
    assert found.utilisation == pytest.approx(1)
    if scheduler == {"kind": "none"}:
        assert found.epochs == 540


def test_promotion_trains_each_rungs_best_third():
    """Of 27 nine come to rung 3 and three of them to the end; a few more that were among the best for a while."""
    found = RecordedCurves(pa.Table.from_pylist(rows_of()), "val_accuracy", neighbours=1)
    result = simulate(spec_of(scheduler={"variant": "promotion"}, max_trials=27), found, 1, FREE)
    assert 27 + 9 * 2 + 3 * 6 <= result.epochs <= 27 + 14 * 2 + 6 * 6


def test_more_workers_are_faster_and_have_no_less(curves):
    times = [simulate(spec_of(scheduler={"kind": "none"}), curves, n, FREE).seconds for n in (1, 4, 60, 100)]
    assert times == pytest.approx([5400, 1350, 90, 90])


def test_costs_are_paid(curves):
    spec = spec_of(scheduler={"variant": "stopping"}, max_trials=1)
    costs = Costs(startup=100, trial=7, checkpoint=1)
    # Nine epochs, with checkpoints at rungs 1 and 3.
    assert simulate(spec, curves, 1, costs).seconds == pytest.approx(100 + 7 + 90 + 2)


def test_a_target_ends_it_and_is_reached_when_it_says(curves):
    found = simulate(spec_of(scheduler={"kind": "none"}, target=0.9, max_trials=500), curves, 2, FREE)
    assert found.ended == "target reached"
    assert found.best >= 0.9
    assert found.seconds_to(0.9) == found.improvements[-1][0]
    assert found.seconds_to(0.99) == math.inf
    assert found.seconds_to(found.improvements[0][1]) == found.improvements[0][0]


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_preempted_trials_go_on_and_nothing_is_lost(curves, variant):
    calm = simulate(spec_of(scheduler={"variant": variant}), curves, 4, FREE)
    costs = Costs(startup=20, preemptions=150)
    rough = simulate(spec_of(scheduler={"variant": variant}), curves, 4, costs)
    assert rough.repeated > 0
    assert rough.trials == calm.trials == 60
    assert rough.seconds > calm.seconds
    assert rough.best == pytest.approx(calm.best, abs=0.02)


def test_slow_workers_make_a_sweep_slower(curves):
    even = simulate(spec_of(scheduler={"kind": "none"}), curves, 10, FREE)
    uneven = simulate(
        spec_of(scheduler={"kind": "none"}), curves, 10, Costs(startup=0, trial=0, straggling=0.8)
    )
    assert uneven.seconds > even.seconds
    assert uneven.utilisation < even.utilisation


def test_a_seed_repeats_itself(curves):
    costs = Costs(preemptions=10, straggling=0.3)
    runs = [simulate(spec_of(seed=seed, searcher={"kind": "tpe"}), curves, 5, costs) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_tpe_comes_closer_than_chance_in_the_same_time(curves):
    best = {
        kind: np.mean(
            [simulate(spec_of(searcher={"kind": kind}, seed=seed), curves, 4, FREE).best for seed in range(5)]
        )
        for kind in ("tpe", "random")
    }
    assert best["tpe"] >= best["random"]


def test_the_command_tells_of_each_number_of_workers(curves, curves_file):
    arguments = [
        *("sweep", "simulate", str(curves_file), "--workers", "1,10", "--seeds", "1", "--startup", "0"),
        *(
            "--trial",
            "0",
            "--checkpoint",
            "0",
            "--set",
            "scheduler.kind=none",
            "--set",
            "scheduler.max_epochs=9",
        ),
        *("--set", "searcher.kind=random", "--set", "max_trials=20"),
    ]
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [(row["workers"], row["trials"], row["epochs"]) for row in told] == [(1, 20, 180), (10, 20, 180)]
    assert [row["seconds"] for row in told] == pytest.approx([1800, 180])
    expected = simulate(spec_of(scheduler={"kind": "none", "max_epochs": 9}, max_trials=20), curves, 10, FREE)
    assert told[1]["best"] == expected.best and told[1]["ended"] == expected.ended == "max_trials"
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert printed.exit_code == 0 and "medians of 1, times in virtual seconds" in printed.stdout
