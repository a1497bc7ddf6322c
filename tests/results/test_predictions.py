"""Answers kept image by image, and the difference of two models on them."""

import numpy as np
import pytest
from scipy.stats import norm

from fer_ray.errors import DataError
from fer_ray.results.predictions import (
    corrected_for_several,
    paired_difference,
    read_predictions,
    write_predictions,
)

N = 500
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (N, 4, 4, 1), np.uint8)
LABELS = RANDOM.integers(0, 3, N)


def answers(wrong):
    """Probabilities that are right but for the images of these places."""
    predicted = np.where(np.isin(np.arange(N), wrong), (LABELS + 1) % 3, LABELS)
    return np.eye(3, dtype=np.float32)[predicted]


def kept(tmp_path, name, wrong, order=slice(None)):
    path = tmp_path / name
    write_predictions(path, IMAGES[order], LABELS[order], answers(wrong)[order])
    return read_predictions(path)


def test_a_row_has_digest_label_and_prediction_and_no_pixels(tmp_path):
    frame = kept(tmp_path, "one", [3])
    assert list(frame.columns) == ["image", "label", "predicted"]
    assert frame.label.tolist() == LABELS.tolist()
    assert (frame.predicted != frame.label).tolist() == [place == 3 for place in range(N)]
    assert frame.image.nunique() == N and frame.image.str.fullmatch("[0-9a-f]{24}").all()


def test_a_row_that_answers_nothing_is_wrong(tmp_path):
    probabilities = answers([])
    probabilities[5] = np.nan
    write_predictions(tmp_path / "one", IMAGES, LABELS, probabilities)
    assert read_predictions(tmp_path / "one").predicted[5] == -1


def test_the_difference_is_counted_image_by_image_in_any_order(tmp_path):
    first = kept(tmp_path, "first", range(0, 60))
    second = kept(tmp_path, "second", range(40, 70), order=RANDOM.permutation(N))
    found = paired_difference(first, second)
    assert (found.n, found.only_second, found.only_first) == (N, 40, 10)
    assert found.difference == pytest.approx(30 / N)
    # The bootstrap's percentiles lie where the normal approximation has them.
    deviation = np.sqrt((50 / N - (30 / N) ** 2) / N)
    assert found.interval == pytest.approx(norm.interval(0.95, 30 / N, deviation), abs=0.004)
    assert found.p_value == pytest.approx(2.386e-5, rel=0.01)
    assert found.interval == paired_difference(first, second).interval


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.7], [1.0, 1.0]),
    ],
)
def test_p_values_are_corrected_as_holm_has_it(p_values, corrected):
    assert corrected_for_several(p_values) == pytest.approx(corrected)


def test_equal_answers_do_not_differ(tmp_path):
    frame = kept(tmp_path, "one", range(10))
    found = paired_difference(frame, frame)
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_other_images_or_labels_are_refused(tmp_path):
    frame = kept(tmp_path, "one", [])
    with pytest.raises(DataError, match="must be of the same images"):
        paired_difference(frame, frame[1:])
    with pytest.raises(DataError, match="must be of the same images"):
        paired_difference(frame, frame.assign(label=2 - frame.label))
    with pytest.raises(DataError, match="must be a Parquet file of predictions"):
        read_predictions(tmp_path / "nothing")
