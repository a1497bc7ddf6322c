"""Each rule of the rungs, and what must hold of any sequence of reports."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ray.errors import ConfigError
from fer_ray.search import rungs as module
from fer_ray.search.rungs import Decision, Rungs

CONTINUE, STOP, DIVERGED, FINISHED = (
    Decision.CONTINUE,
    Decision.STOP,
    Decision.DIVERGED,
    Decision.FINISHED,
)


def make_rungs(max_epochs=9, mode="max", eta=3, grace=1):
    return Rungs(max_epochs=max_epochs, mode=mode, eta=eta, grace=grace)


def arrive(rungs, values, epoch=1):
    """Trials 0, 1, 2... report one after the other."""
    return [rungs.record(trial, epoch, value) for trial, value in enumerate(values)]


@pytest.mark.parametrize(
    ("max_epochs", "eta", "grace", "epochs"),
    [
        (9, 3, 1, {1, 3}),
        (10, 3, 1, {1, 3, 9}),
        (27, 3, 2, {2, 6, 18}),
        (16, 4, 1, {1, 4}),
        (5, 2, 5, set()),
        (1, 3, 1, set()),
        (9, None, 1, set()),
    ],
)
def test_rungs_lie_at_powers_of_eta_below_the_last_epoch(max_epochs, eta, grace, epochs):
    assert make_rungs(max_epochs, "max", eta, grace).epochs == epochs


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("max_epochs", 0, "scheduler: max_epochs: must be at least 1. Received: 0."),
        ("grace", 0, "scheduler: grace: must be at least 1. Received: 0."),
        ("eta", 1, "scheduler: eta: must be at least 2. Received: 1."),
    ],
)
def test_arguments_out_of_range_are_refused(argument, value, message):
    with pytest.raises(ConfigError) as caught:
        make_rungs(**{argument: value})
    assert str(caught.value) == message


def test_the_first_to_arrive_goes_on():
    assert make_rungs().record(7, 1, 0.01) is CONTINUE


@pytest.mark.parametrize(("mode", "values"), [("max", [1, 2, 3, 4, 5, 6]), ("min", [6, 5, 4, 3, 2, 1])])
def test_the_mode_says_which_end_is_the_better_one(mode, values):
    assert arrive(make_rungs(mode=mode), values) == [CONTINUE] * 6
    assert arrive(make_rungs(mode=mode), values[::-1]) == [CONTINUE] + [STOP] * 5


def test_two_of_six_pass():
    assert arrive(make_rungs(), [9, 1, 2, 3, 4, 8]) == [CONTINUE, STOP, STOP, STOP, STOP, CONTINUE]


def test_a_value_equal_to_another_loses_to_the_lower_number():
    assert arrive(make_rungs(), [5, 5, 5, 5, 5]) == [CONTINUE, STOP, STOP, STOP, STOP]
    rungs = make_rungs()
    assert rungs.record(4, 1, 5) is CONTINUE
    assert rungs.record(2, 1, 5) is CONTINUE
    assert rungs.record(3, 1, 5) is STOP


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("epoch", [1, 2, 9])
def test_what_is_not_finite_stops_at_once_and_enters_no_rung(value, epoch):
    rungs = make_rungs()
    assert rungs.record(0, epoch, value) is DIVERGED
    assert rungs.rung_of(0) is None
    assert all(not rung.values for rung in rungs.brackets[0])
    # And it takes nobody's place.
    assert rungs.record(1, 1, -5.0) is CONTINUE


def test_between_rungs_all_go_on():
    rungs = make_rungs()
    arrive(rungs, [3, 2])
    assert rungs.record(0, 2, -100.0) is CONTINUE
    assert rungs.rung_of(0).epoch == 1


def test_a_trial_reported_again_gets_the_same_verdict():
    rungs = make_rungs()
    assert rungs.record(0, 1, 0.5) is CONTINUE
    assert rungs.record(1, 1, 0.4) is STOP
    assert rungs.record(2, 1, 0.9) is CONTINUE
    assert rungs.record(0, 1, 0.0) is CONTINUE
    assert rungs.record(1, 1, 1.0) is STOP
    assert rungs.brackets[0][0].values == {0: 0.5, 1: 0.4, 2: 0.9}


def test_a_late_report_that_comes_again_gets_the_same_verdict():
    rungs = make_rungs(max_epochs=27)
    assert rungs.record(0, 5, 0.9) is CONTINUE
    assert rungs.record(1, 5, 0.1) is STOP
    assert rungs.record(1, 5, 0.1) is STOP


def test_a_retried_trial_that_starts_over_goes_through_the_rungs_that_it_knows():
    rungs = make_rungs()
    reports = [(1, 0.5), (2, 0.6), (3, 0.7), (4, 0.8)]
    first = [rungs.record(0, epoch, value) for epoch, value in reports]
    assert [rungs.record(0, epoch, value - 0.4) for epoch, value in reports] == first == [CONTINUE] * 4
    assert rungs.brackets[0][1].values == {0: 0.7}


def test_a_first_report_past_a_rung_is_judged_at_the_highest_that_it_reached():
    rungs = make_rungs(max_epochs=27)
    rungs.record(0, 1, 0.9)
    rungs.record(0, 3, 0.9)
    assert rungs.record(1, 5, 0.1) is STOP
    assert rungs.rung_of(1).epoch == 3
    assert 1 not in rungs.brackets[0][0].values


def test_a_trial_that_skips_a_rung_is_judged_once_at_the_one_it_reached():
    rungs = make_rungs(max_epochs=27)
    assert [rungs.record(0, epoch, 0.5) for epoch in (1, 4, 5, 8)] == [CONTINUE] * 4
    assert [rung.epoch for rung in rungs.brackets[0] if 0 in rung.values] == [1, 3]


def test_the_last_epoch_ends_a_trial_and_is_no_rung():
    rungs = make_rungs(max_epochs=3)
    for trial in range(4):
        rungs.record(trial, 1, 4.0 - trial)
        assert rungs.record(trial, 3, 4.0 - trial) is FINISHED
    assert rungs.brackets[0][-1].epoch == 1


def test_a_trial_that_reports_its_last_epoch_alone_is_finished_and_enters_no_rung():
    rungs = make_rungs()
    arrive(rungs, [0.9, 0.8, 0.9], epoch=3)
    assert rungs.record(5, 9, 0.1) is FINISHED
    assert rungs.rung_of(5) is None


def test_without_a_scheduler_nothing_is_stopped_early():
    rungs = make_rungs(eta=None)
    for epoch in range(1, 10):
        expected = FINISHED if epoch == 9 else CONTINUE
        assert arrive(rungs, [5, 4, 3], epoch) == [expected] * 3
    assert rungs.record(0, 2, math.nan) is DIVERGED


values_at_a_rung = st.lists(st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(values=values_at_a_rung, eta=st.integers(2, 5), mode=st.sampled_from(["max", "min"]))
def test_who_passes_is_among_the_best_at_arrival(values, eta, mode):
    rungs = make_rungs(max_epochs=100, mode=mode, eta=eta)
    for trial, value in enumerate(values):
        passed = rungs.record(trial, 1, value) is CONTINUE
        so_far = values[: trial + 1]
        better = [v for v in so_far[:-1] if (v >= value if mode == "max" else v <= value)]
        assert passed == (len(better) < max(1, len(so_far) // eta))


@given(n=st.integers(1, 80), eta=st.integers(2, 5))
def test_of_ever_worse_trials_the_first_alone_goes_on_and_of_ever_better_ones_all(n, eta):
    falling = arrive(make_rungs(100, "max", eta), [float(-i) for i in range(n)])
    rising = arrive(make_rungs(100, "max", eta), [float(i) for i in range(n)])
    assert falling == [CONTINUE] + [STOP] * (n - 1)
    assert rising == [CONTINUE] * n


reports = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 12), st.floats(-1, 1) | st.sampled_from([None, math.nan])),
    max_size=60,
)


@given(reports=reports, eta=st.none() | st.integers(2, 4))
def test_replayed_reports_give_the_same_decisions_and_rungs(reports, eta):
    first, second = make_rungs(12, "min", eta), make_rungs(12, "min", eta)
    assert [first.record(*report) for report in reports] == [second.record(*report) for report in reports]
    assert first.brackets == second.brackets


@given(reports=reports)
def test_any_report_repeated_changes_nothing(reports):
    once, twice = make_rungs(12), make_rungs(12)
    for report in reports:
        expected = once.record(*report)
        assert twice.record(*report) is expected
        assert twice.record(*report) is expected
    assert once.brackets == twice.brackets


@given(reports=reports)
def test_every_trial_in_a_rung_has_one_value_and_one_verdict(reports):
    rungs = make_rungs(12)
    for report in reports:
        rungs.record(*report)
    for rung in rungs.brackets[0]:
        assert rung.values.keys() == rung.decisions.keys()
        assert all(math.isfinite(value) for value in rung.values.values())
        assert set(rung.decisions.values()) <= {CONTINUE, STOP}


def test_the_decisions_need_no_ray():
    check = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='rungs');"
        "heavy = {'ray', 'optuna', 'tensorflow', 'pandas', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", check, module.__file__], check=True)
