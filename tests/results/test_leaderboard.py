"""The order of the best trials."""

import math

import pytest

from fer_ray.errors import ConfigError
from fer_ray.objective import Objective
from fer_ray.results import leaderboard, trials_table

ACCURACY = Objective(metric="val_accuracy", mode="max")


def row(trial, value, epochs=9, state="COMPLETE", **more):
    return {
        "trial": trial,
        "state": state,
        "value": value,
        "epochs": epochs,
        "objective": "val_accuracy",
        **more,
    }


TRIALS = trials_table(
    [
        row(0, 0.5),
        row(1, 0.7, epochs=9),
        row(2, 0.7, epochs=3, state="PRUNED"),
        row(3, 0.7, epochs=3, hyperparameters={"rate": 0.1}, best_epoch=2, parameters=10, seconds=1.0),
        row(4, 0.9, state="FAIL"),
        row(5, None, state="RUNNING"),
        row(6, math.nan),
        row(7, math.inf),
        row(8, 0.6, state="RUNNING"),
        row(9, 0.7, epochs=None),
    ]
)


def test_best_first_ties_by_epochs_then_number_without_failed_and_valueless_ones():
    rows = leaderboard(TRIALS, ACCURACY)
    assert [(row["rank"], row["trial"]) for row in rows] == [(1, 2), (2, 3), (3, 1), (4, 9), (5, 8), (6, 0)]


def test_small_is_better_under_min():
    rows = leaderboard(TRIALS, Objective(metric="val_accuracy", mode="min"))
    assert [row["trial"] for row in rows] == [0, 8, 2, 3, 1, 9]


def test_a_row_has_what_a_person_asks_for():
    assert leaderboard(TRIALS, ACCURACY, n=2)[1] == {
        "rank": 2,
        "trial": 3,
        "state": "COMPLETE",
        "value": 0.7,
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 1.0,
        "parameters": 10,
        "latency_ms": None,
        "hyperparameters": {"rate": 0.1},
    }


def test_an_empty_sweep_has_an_empty_leaderboard():
    assert leaderboard(trials_table([]), ACCURACY) == []


def test_values_of_another_metric_and_no_rows_are_refused():
    with pytest.raises(ConfigError, match=r"val_loss.*val_accuracy"):
        leaderboard(TRIALS, Objective(metric="val_loss", mode="min"))
    with pytest.raises(ConfigError, match="at least 1"):
        leaderboard(TRIALS, ACCURACY, n=0)
