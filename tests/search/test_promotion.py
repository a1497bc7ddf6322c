"""Promotion, brackets and the median rule: each stated rule, and what must hold of any sequence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ray.errors import ConfigError
from fer_ray.search.median import MedianStopping
from fer_ray.search.rungs import Decision, Rungs

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def make_rungs(max_epochs=9, mode="max", eta=3, grace=1, brackets=1, promotion=True):
    return Rungs(
        max_epochs=max_epochs, mode=mode, eta=eta, grace=grace, brackets=brackets, promotion=promotion
    )


def arrive(rungs, values, epoch=1):
    return [rungs.record(trial, epoch, value) for trial, value in enumerate(values)]


def test_trials_pause_until_there_are_eta_of_them():
    rungs = make_rungs()
    assert arrive(rungs, [0.3, 0.2]) == [PAUSE, PAUSE]
    assert rungs.due() is None
    assert rungs.record(2, 1, 0.1) is PAUSE
    assert rungs.due() == 0
    rungs.advance(0)
    assert rungs.due() is None


def test_one_that_would_advance_at_once_goes_on():
    rungs = make_rungs()
    assert arrive(rungs, [0.1, 0.2, 0.3]) == [PAUSE, PAUSE, CONTINUE]
    assert rungs.due() is None


def test_one_that_would_advance_waits_for_one_that_is_due_in_a_higher_rung():
    rungs = make_rungs()
    arrive(rungs, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    for trial in (0, 1, 2):
        rungs.advance(trial)
    assert [rungs.record(trial, 3, 0.9 - trial / 10) for trial in (0, 1, 2)] == [PAUSE] * 3
    assert rungs.due() == 0
    assert rungs.record(8, 1, 1.0) is PAUSE
    rungs.advance(0)
    assert rungs.due() == 8


def test_ties_advance_by_the_lower_number():
    rungs = make_rungs()
    arrive(rungs, [0.5] * 6)
    assert rungs.due() == 0
    rungs.advance(0)
    assert rungs.due() == 1


def test_the_last_one_left_is_trained_to_its_end():
    rungs = make_rungs()
    arrive(rungs, [0.2, 0.3])
    assert rungs.due() is None
    assert rungs.due(last=True) == 1
    rungs.advance(1)
    assert rungs.record(1, 3, 0.4) is PAUSE
    assert rungs.due(last=True) == 1
    rungs.advance(1)
    assert rungs.record(1, 9, 0.4) is Decision.FINISHED


def test_a_trial_that_was_closed_is_passed_over_and_keeps_its_place():
    rungs = make_rungs()
    arrive(rungs, [0.9, 0.1, 0.2])
    rungs.pass_over(0)
    assert rungs.due() is None
    assert rungs.due(last=True) == 2
    assert len(rungs.brackets[0][0].values) == 3


def test_an_advanced_trial_that_reports_its_rung_again_goes_on():
    rungs = make_rungs()
    arrive(rungs, [0.9, 0.1, 0.2])
    assert rungs.record(0, 1, 0.9) is PAUSE
    rungs.advance(0)
    assert rungs.record(0, 1, 0.9) is CONTINUE
    assert rungs.record(0, 2, 0.1) is CONTINUE


def test_advancing_who_is_not_paused_changes_nothing():
    rungs = make_rungs()
    rungs.advance(4)
    arrive(rungs, [0.9, 0.1, 0.2])
    rungs.advance(0)
    rungs.advance(0)
    rungs.record(3, 1, 0.3)
    assert (rungs.due(), rungs.due(last=True)) == (None, 3)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_finite_neither_pauses_nor_advances(value):
    rungs = make_rungs()
    arrive(rungs, [0.2, 0.3])
    assert rungs.record(2, 1, value) is Decision.DIVERGED
    assert rungs.due() is None


@given(
    values=st.lists(st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6), min_size=1, max_size=60),
    eta=st.integers(2, 5),
    mode=st.sampled_from(["max", "min"]),
)
def test_whoever_advances_is_among_the_best_and_in_the_end_all_of_these_have(values, eta, mode):
    rungs = make_rungs(max_epochs=100, mode=mode, eta=eta)
    arrive(rungs, values)
    while (trial := rungs.due()) is not None:
        rungs.advance(trial)
    rung = rungs.brackets[0][0]
    advanced = {trial for trial, decision in rung.decisions.items() if decision is CONTINUE}
    sign = -1 if mode == "max" else 1
    best = sorted(range(len(values)), key=lambda trial: (sign * values[trial], trial))[: len(values) // eta]
    # Also who was among the best once and is not any more.
    assert set(best) <= advanced
    assert all(
        sorted(range(trial + 1), key=lambda t: (sign * values[t], t)).index(trial) < (trial + 1) // eta
        for trial in advanced - set(best)
    )


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(9, [[1, 3], [3], []]), (27, [[1, 3, 9], [3, 9], [9], []]), (1, [[]])]
)
def test_each_bracket_leaves_out_one_rung_more(epochs, rungs):
    made = make_rungs(max_epochs=epochs, brackets=len(rungs))
    assert [[rung.epoch for rung in bracket] for bracket in made.brackets] == rungs
    with pytest.raises(ConfigError, match=f"brackets: must be at most {len(rungs)}"):
        make_rungs(max_epochs=epochs, brackets=len(rungs) + 1)


def test_trials_come_to_brackets_in_hyperbands_proportions():
    rungs = make_rungs(max_epochs=9, brackets=3)
    counts = [sum(rungs.bracket_of(trial) == bracket for trial in range(550)) for bracket in range(3)]
    # eta ** s / (s + 1) for s = 2, 1, 0: 3, 1.5 and 1.
    assert counts == [300, 150, 100]
    assert rungs.bracket_of(0) == 0


def test_the_bracket_of_a_trial_does_not_hang_on_who_asked_before():
    forwards, alone = make_rungs(brackets=3), make_rungs(brackets=3)
    expected = [forwards.bracket_of(trial) for trial in range(40)]
    assert alone.bracket_of(39) == expected[39]
    assert [alone.bracket_of(trial) for trial in range(40)] == expected


@pytest.mark.parametrize("promotion", [False, True])
def test_brackets_judge_their_own_trials_only(promotion):
    rungs = make_rungs(brackets=3, promotion=promotion)
    last = next(trial for trial in range(9) if rungs.bracket_of(trial) == 2)
    for trial in range(20):
        if trial != last:
            rungs.record(trial, 1, 1.0)
    assert [rungs.record(last, epoch, 0.0) for epoch in (1, 3, 8)] == [CONTINUE] * 3
    assert all(last not in rung.values for bracket in rungs.brackets for rung in bracket)


reports = st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1) | st.just(math.nan)), max_size=80)


@given(reports=reports, brackets=st.integers(1, 3), promotion=st.booleans())
def test_what_was_decided_is_taken_up_again_exactly(reports, brackets, promotion):
    """As a journal is read again: with the decisions of then, and who advanced between them."""
    live, again = (make_rungs(brackets=brackets, promotion=promotion) for _ in range(2))
    epochs: dict[int, int] = {}
    ended: set[int] = set()
    for trial, value in reports:
        if trial in ended:
            continue
        epochs[trial] = epochs.get(trial, 0) + 1
        decision = live.record(trial, epochs[trial], value)
        assert again.record(trial, epochs[trial], value, decision) is decision
        if decision in (STOP, PAUSE, Decision.DIVERGED, Decision.FINISHED):
            ended.add(trial)
        if (due := live.due()) is not None:
            live.advance(due)
            again.advance(due)
            ended.discard(due)
    assert live.brackets == again.brackets
    assert live.due() == again.due()
    assert live.due(last=True) == again.due(last=True)


def test_the_median_rule_stops_whose_best_is_below_the_median_of_the_averages():
    rule = MedianStopping(max_epochs=9, mode="max", grace=2, min_trials=3)
    for trial, value in enumerate([0.5, 0.6, 0.7]):
        assert [rule.record(trial, epoch, value) for epoch in (1, 2, 3)] == [CONTINUE] * 3
    # Before its grace is over it may be as bad as it likes.
    assert rule.record(3, 1, 0.0) is CONTINUE
    assert rule.record(3, 2, 0.59) is STOP
    assert [rule.record(4, epoch, 0.61) for epoch in (1, 2, 3)] == [CONTINUE] * 3
    assert rule.record(4, 9, 0.0) is Decision.FINISHED
    assert rule.record(5, 1, math.nan) is Decision.DIVERGED


def test_the_median_rule_waits_for_others_and_repeats_its_verdicts():
    rule = MedianStopping(max_epochs=9, mode="min", grace=1, min_trials=3)
    assert arrive(rule, [0.1, 0.2]) == [CONTINUE] * 2
    assert rule.record(2, 1, 0.9) is CONTINUE
    assert rule.record(3, 1, 0.8) is STOP
    assert rule.record(3, 1, 0.8) is STOP
    assert (rule.epochs, rule.rung_of(3), rule.due()) == (frozenset(), None, None)
