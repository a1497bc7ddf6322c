"""What a sweep is expected to do, and at most, by its own rungs."""

import itertools
from collections.abc import Sequence

import pytest

from fer_ray.search.curves import Curve
from fer_ray.search.forecast import forecast
from fer_ray.search.probe import Probed
from fer_ray.search.simulate import Costs, simulate
from fer_ray.search.spec import SweepSpec
from fer_ray.spaces import Space
from fer_ray.training.pace import Pace

ENTRY = {"name": "x", "default": None, "conditions": [], "min_value": 0.0, "max_value": 1.0, "step": None}
SPACE = Space.from_config({"space": [{"class_name": "Float", "config": {**ENTRY, "sampling": "linear"}}]})
NONE = {"kind": "none", "max_epochs": 4}


def spec_of(**changes):
    content = {"name": "s", "data": "none", "space": {"file": "none.py"}, "searcher": {"kind": "random"}}
    return SweepSpec.parse({**content, "max_trials": 6, **changes})


def probed(trial, values, first=10.0, last=10.0, start=2.0):
    pace = Pace(
        start=start,
        first_epoch=first,
        last_epoch=last,
        checkpoint_seconds=0.0,
        checkpoint_mb=1.0,
        parameters=1,
    )
    return Probed(trial=trial, values=values, pace=pace)


class Ranked:
    """Trials whose objectives are given, in the order in which they begin."""

    space = SPACE

    def __init__(self, objectives: Sequence[float], epochs: int) -> None:
        self.objectives, self.epochs, self.curves = iter(objectives), epochs, {}

    def curve(self, values):
        if values["x"] not in self.curves:
            self.curves[values["x"]] = Curve([next(self.objectives)] * self.epochs, [1.0] * self.epochs)
        return self.curves[values["x"]]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "scheduler",
    [
        {"variant": "stopping", "eta": 2},
        {"variant": "promotion", "eta": 2},
        {"variant": "promotion", "eta": 3, "max_epochs": 9},
        {"variant": "promotion", "eta": 2, "brackets": 2},
        {"variant": "promotion", "eta": 2, "grace": 2},
    ],
)
def test_no_order_of_trials_needs_more_epochs_than_at_most(scheduler, mode):
    objective = {"metric": "x", "mode": mode}
    spec = spec_of(scheduler={"max_epochs": 4, **scheduler}, objective=objective, max_trials=5)
    found = forecast(spec, SPACE, 1, [], 0.0)
    orders = itertools.permutations(range(5))
    epochs = [simulate(spec, Ranked(order, spec.scheduler.max_epochs), 1, Costs()).epochs for order in orders]
    assert found.epochs.at_most == max(epochs)
    assert min(epochs) <= found.epochs.expected <= max(epochs)


def test_of_many_trials_a_share_of_one_in_eta_is_expected_to_pass():
    spec = spec_of(scheduler={"eta": 4, "max_epochs": 16}, max_trials=400)
    levels = {level.epoch: level.trials.expected for level in forecast(spec, SPACE, 4, [], 0.0).levels}
    assert list(levels) == [0, 1, 4, 16]
    assert levels[0] == levels[1] == 400
    assert levels[4] == pytest.approx(100, rel=0.15)
    assert levels[16] == pytest.approx(25, rel=0.35)


def test_without_a_scheduler_all_is_certain():
    found = forecast(spec_of(scheduler=NONE), SPACE, 2, [probed(0, {"x": 0.5})], starting=5.0)
    assert (found.epochs.expected, found.epochs.at_most) == (24, 24)
    # Three trials after one another on either worker.
    assert found.seconds.expected == found.seconds.at_most == pytest.approx(5 + 3 * (2 + 4 * 10))
    assert found.ended == ("max_trials", "max_trials")


def test_times_lie_between_those_of_the_probed():
    paces = [probed(0, {"x": 0.1}, first=10, last=10), probed(1, {"x": 0.2}, first=20, last=40)]
    found = forecast(spec_of(scheduler=NONE, max_trials=40), SPACE, 1, paces, starting=0.0)
    # Four epochs of 20 to 40 s, by equal steps.
    assert found.seconds.at_most == pytest.approx(40 * (2 + 120))
    assert found.seconds.expected == pytest.approx(40 * (2 + (40 + 120) / 2), rel=0.1)


def test_a_probed_configuration_has_its_own_time():
    known = {"kind": "random", "known": [{"x": 0.1}, {"x": 0.2}]}
    paces = [probed(0, {"x": 0.1}, first=10, last=10), probed(1, {"x": 0.2}, first=30, last=30)]
    found = forecast(spec_of(scheduler=NONE, max_trials=2, searcher=known), SPACE, 1, paces, starting=0.0)
    assert found.seconds.expected == pytest.approx(2 * 2 + 4 * (10 + 30))


def test_budgets_that_come_first_are_named_and_cut():
    found = forecast(spec_of(scheduler=NONE, epoch_budget=10), SPACE, 3, [probed(0, {"x": 0.5})], 0.0)
    assert found.ended == ("epoch budget", "epoch budget")
    assert 10 <= found.epochs.at_most <= 12
    found = forecast(spec_of(scheduler=NONE, time_budget=100), SPACE, 2, [probed(0, {"x": 0.5})], 0.0)
    assert found.ended == ("time budget", "time budget")
    assert found.seconds.at_most < 112
    assert found.epochs.at_most == 20


def test_a_time_budget_is_left_out_where_no_times_are_known():
    found = forecast(spec_of(scheduler=NONE, time_budget=1), SPACE, 2, [], 0.0)
    assert found.seconds is None and found.epochs.at_most == 24


def test_a_grid_ends_with_its_space():
    entry = {"class_name": "Boolean", "config": {"name": "x", "default": False, "conditions": []}}
    found = forecast(
        spec_of(scheduler=NONE, searcher={"kind": "grid"}), Space.from_config({"space": [entry]}), 2, [], 0.0
    )
    assert found.trials.at_most == found.trials.expected == 2
    assert found.ended == ("space exhausted", "space exhausted")


def test_the_median_rule_stops_some_and_at_most_none():
    spec = spec_of(scheduler={"kind": "median", "max_epochs": 4}, max_trials=30)
    found = forecast(spec, SPACE, 2, [], 0.0)
    assert found.epochs.at_most == 120
    assert 30 < found.epochs.expected < 120


def test_several_objectives_and_constraints_change_no_count():
    several = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    spec = spec_of(objective=several, constraints={"max_parameters": 10})
    assert forecast(spec, SPACE, 2, [], 0.0) == forecast(spec_of(), SPACE, 2, [], 0.0)
