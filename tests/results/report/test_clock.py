"""A sweep's epochs laid out in time."""

import numpy as np
import pandas as pd
import pytest

from fer_ray.results import epochs_table, trials_table
from fer_ray.results.report.clock import best_so_far, duration, read_clock

NOON = pd.Timestamp("2026-01-02 12:00", tz="UTC")


def epochs(*rows):
    named = [
        {"trial": trial, "epoch": epoch, "seconds": seconds, "timestamp": NOON + pd.Timedelta(ended, "s")}
        for trial, epoch, seconds, ended in rows
    ]
    return epochs_table([{**row, "timestamp": row["timestamp"].to_pydatetime()} for row in named]).to_pandas()


def clock_of(table):
    return read_clock(
        table, trials_table([{"trial": number, "state": "COMPLETE"} for number in (0, 1)]).to_pandas()
    )


def test_time_begins_with_the_first_epoch_and_runs_by_their_ends():
    clock = clock_of(epochs((0, 1, 10.0, 10), (0, 2, 10.0, 21), (1, 1, 4.0, 8)))
    laid = clock.epochs
    assert laid[["trial", "epoch"]].to_numpy().tolist() == [[1, 1], [0, 1], [0, 2]]
    np.testing.assert_allclose(laid.began, [4, 0, 11])
    np.testing.assert_allclose(laid.ended, [8, 10, 21])
    assert clock.pauses == [] and clock.seconds == pytest.approx(21)


def test_a_long_pause_is_left_out_and_named_and_a_short_one_stays():
    day = 86_400
    clock = clock_of(epochs((0, 1, 10.0, 10), (0, 2, 10.0, 320), (1, 1, 5.0, day), (1, 2, 5.0, day + 6)))
    assert clock.pauses == pytest.approx([day - 5 - 320])
    np.testing.assert_allclose(clock.epochs.ended, [10, 320, 325, 331])


def test_nobody_pauses_while_one_worker_trains():
    clock = clock_of(epochs((0, 1, 5000.0, 5000), (1, 1, 5.0, 5), (1, 2, 5.0, 4990)))
    assert clock.pauses == [] and clock.seconds == pytest.approx(5000)


def test_without_epochs_there_is_no_time():
    clock = clock_of(epochs())
    assert (clock.seconds, clock.pauses, len(clock.epochs)) == (0.0, [], 0)


def test_best_so_far_passes_over_what_is_not_finite_and_what_failed():
    table = pd.DataFrame(
        {"loss": [np.nan, 3.0, np.inf, 2.0, -np.inf, 4.0, 1.0, 5.0], "failed": [*[False] * 6, True, True]}
    )
    np.testing.assert_array_equal(best_so_far(table, "loss", "min"), [np.nan, 3, 3, 2, 2, 2, 2, 2])
    np.testing.assert_array_equal(best_so_far(table, "loss", "max"), [np.nan, 3, 3, 3, 3, 4, 4, 4])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.96, "10.0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (12_000, "3 h 20 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text
