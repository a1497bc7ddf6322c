"""The Pareto front of several objectives."""

import itertools
import math
import random

import optuna

from fer_ray.objective import Objective
from fer_ray.results import pareto_front, trials_table

ACCURACY = Objective(metric="val_accuracy", mode="max")
SIZE = Objective(metric="parameters", mode="min")
LOSS = Objective(metric="val_loss", mode="min")


def row(trial, accuracy, size, state="COMPLETE", **more):
    return {"trial": trial, "state": state, "values": {"val_accuracy": accuracy, "parameters": size}, **more}


def front(rows, objectives=(ACCURACY, SIZE)):
    return [row["trial"] for row in pareto_front(trials_table(rows), objectives)]


def test_a_trial_is_on_it_unless_another_is_as_good_in_all_and_better_in_one():
    rows = [
        row(0, 0.6, 1000),
        row(1, 0.7, 5000),
        row(2, 0.6, 1200),  # trial 0 is as accurate and smaller
        row(3, 0.65, 5000),  # trial 1 is more accurate and as large
        row(4, 0.5, 100, state="PRUNED"),
        row(5, 0.4, 200),
    ]
    assert front(rows) == [1, 0, 4]


def test_equal_trials_are_all_on_it_in_the_order_of_their_numbers():
    assert front([row(1, 0.6, 10), row(0, 0.6, 10), row(2, 0.6, 11)]) == [0, 1]


def test_trials_that_failed_or_lack_a_finite_value_are_not():
    rows = [
        row(0, 0.9, 1, state="FAIL"),
        row(1, math.nan, 1),
        row(2, math.inf, 1),
        {"trial": 3, "state": "RUNNING"},
        row(4, 0.1, 9),
    ]
    assert front(rows) == [4]
    assert front(rows[:1] + rows[3:4]) == []
    assert front([]) == []


def test_a_row_has_what_a_person_asks_for():
    more = {"best_epoch": 2, "epochs": 3, "seconds": 1.5, "hyperparameters": {"rate": 0.1}}
    (found,) = pareto_front(trials_table([row(7, 0.5, 10, latency_ms=0.25, **more)]), (ACCURACY, SIZE))
    assert found == {
        "trial": 7,
        "state": "COMPLETE",
        "parameters": None,
        "latency_ms": 0.25,
        "values": {"val_accuracy": 0.5, "parameters": 10.0},
        **more,
    }


def test_it_is_optunas_of_complete_trials():
    draw = random.Random(0)
    directions = {"max": "maximize", "min": "minimize"}
    for objectives in itertools.permutations([ACCURACY, SIZE, LOSS]):
        study = optuna.create_study(directions=[directions[objective.mode] for objective in objectives])
        rows = []
        for trial in range(60):
            values = {objective.metric: float(draw.randint(0, 9)) for objective in objectives}
            study.add_trial(optuna.create_trial(values=list(values.values())))
            rows.append({"trial": trial, "state": "COMPLETE", "values": values})
        assert sorted(front(rows, objectives)) == [trial.number for trial in study.best_trials]
