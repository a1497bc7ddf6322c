"""Sweeps side by side: their numbers, whether they may be compared, and whether winners differ."""

import html
import json

import numpy as np
import pytest

from fer_ray.errors import ConfigError
from fer_ray.search import load_result
from fer_ray.search.report import compare


@pytest.fixture(scope="module")
def three(made_up, tmp_path_factory):
    """Two whose winners have the same images right for the most part, and one that is worse."""
    folder = tmp_path_factory.mktemp("three")
    paths = [
        made_up.play(folder, "first", seed=1),
        made_up.play(folder, "second", seed=2, seconds=5.0),
        made_up.play(folder, "third", seed=3, max_trials=6),
    ]
    for path, right in zip(paths, (0.8, 0.8, 0.4), strict=True):
        made_up.register(path, right, seed=len(path.name))
    return paths


def test_the_numbers_are_those_of_the_tables(three):
    found = compare(three)
    assert (found.objective, found.not_comparable) == ("val_accuracy", ())
    results = [load_result(path) for path in three]
    assert found.target == min(result.best["value"] for result in results)
    for sweep, result in zip(found.sweeps, results, strict=True):
        epochs = result.epochs.to_pandas().sort_values(["timestamp", "trial"])
        assert (sweep.trials, sweep.epochs) == (len(result.trials), len(epochs))
        assert sweep.training_seconds == pytest.approx(epochs.seconds.sum())
        assert sweep.wall_seconds == result.outcome.seconds
        assert sweep.value == epochs.val_accuracy.max()
        there = int(np.argmax(epochs.val_accuracy.cummax() >= found.target))
        assert sweep.epochs_to_target == there + 1
        assert 0 < sweep.seconds_to_target <= sweep.wall_seconds
        assert sweep.interval[0] < sweep.accuracy < sweep.interval[1] and sweep.n == 200
    json.dumps(found.to_dict(), allow_nan=False)


def test_trials_are_those_that_were_trained(finished, made_up, tmp_path):
    killed = made_up.play(tmp_path, epochs=1)
    trials = [load_result(path).trials.to_pandas() for path in (finished, killed)]
    assert (trials[0].failure == "infeasible").any() and (trials[1].epochs == 0).any()
    counted = [sweep.trials for sweep in compare([finished, killed]).sweeps]
    assert counted == [16, (trials[1].epochs > 0).sum()]


def test_winners_are_compared_image_by_image(three, tmp_path):
    same, worse = compare(three, tmp_path / "page.html").differences
    assert (same.first, same.second, worse.second) == ("first", "second", "third")
    assert same.paired.n == worse.paired.n == 200
    assert same.paired.interval[0] <= 0 <= same.paired.interval[1]
    assert "which is better is open" in same.sentence
    assert worse.paired.interval[1] < 0 and worse.paired.p_value < 1e-6
    assert worse.sentence.endswith("That of first is better.")
    assert worse.p_corrected == 2 * worse.paired.p_value
    assert f"p = {worse.paired.p_value:.3g}, by Holm for 2 tests {worse.p_corrected:.3g})" in worse.sentence
    page = html.unescape((tmp_path / "page.html").read_text())
    assert "There are 2 tests, so that p-values are corrected by Holm's method" in page


def test_a_difference_that_several_tests_may_give_by_chance_is_open(three, made_up, tmp_path):
    close = made_up.play(tmp_path, "close", seed=4)
    made_up.register(close, 0.71, seed=15)
    (alone,) = compare([three[0], close]).differences
    assert alone.paired.interval[1] < 0 and 0.025 < alone.paired.p_value == alone.p_corrected < 0.05
    assert alone.sentence.endswith("That of first is better.")
    among, *_ = compare([three[0], close, three[1]]).differences
    assert among.paired == alone.paired and among.p_corrected == 2 * alone.p_corrected
    assert among.sentence.endswith("p is not below 0.05: which is better is open.")


def test_the_first_with_a_model_is_what_the_others_are_compared_with(three, made_up, tmp_path):
    bare = made_up.play(tmp_path, "bare", max_trials=2)
    without, paired = compare([bare, three[0], three[2]]).differences
    assert (without.first, without.second, without.paired) == ("first", "bare", None)
    assert without.sentence.startswith("bare has no test accuracy. ")
    assert (paired.first, paired.second) == ("first", "third") and paired.paired.n == 200


def test_without_kept_answers_the_intervals_stand_side_by_side(three, made_up, tmp_path):
    bare = made_up.play(tmp_path, "bare", seed=4)
    made_up.register(bare, 0.1, predictions=False)
    (found,) = compare([three[0], bare]).differences
    assert found.paired is None
    assert found.sentence.startswith("The intervals of first and bare do not overlap: their winners differ.")
    assert "test_predictions.parquet" in found.sentence


def test_what_cannot_be_compared_says_so(three, made_up, tmp_path):
    other = made_up.play(tmp_path, "other", fingerprint="cd" * 32, objective={"metric": "val_loss"})
    found = compare([three[0], other], tmp_path / "page.html")
    objectives, data = found.not_comparable
    assert objectives == "Their objectives differ: val_accuracy (max) and val_loss (min)."
    assert data.startswith("Their data sets differ: ") and "abababababab" in data and "cdcdcdcdcdcd" in data
    assert found.target is None and found.sweeps[0].seconds_to_target is None
    assert found.differences[0].sentence.startswith("other has no test accuracy. No winner is registered yet")
    page = (tmp_path / "page.html").read_text()
    assert "These sweeps are not comparable." in page and data in page


def test_the_page_has_the_table_and_both_courses(three, tmp_path):
    found = compare(three, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for key in ("best-over-time", "best-over-epochs"):
        (text,) = [line for line in page.splitlines() if f'id="{key}-data"' in line]
        assert all(f'"name":"{name}"' in text for name in ("first", "second", "third"))
    for sweep in found.sweeps:
        assert f'data-value="{sweep.value}"' in page


def test_sweeps_of_one_name_are_told_apart(made_up, tmp_path):
    paths = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        paths.append(made_up.play(tmp_path / place, max_trials=2))
    assert [sweep.name for sweep in compare(paths).sweeps] == [str(path) for path in paths]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_two_sweeps_are_refused(three, count):
    with pytest.raises(ConfigError, match="needs at least two sweeps, each named once"):
        compare([three[0]] * count)
