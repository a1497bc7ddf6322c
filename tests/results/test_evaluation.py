"""Scores against scikit-learn and hand-counted cases; the rules for NaN and absent classes."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from fer_ray.errors import DataError
from fer_ray.results.confusion_plot import save_confusion_plot
from fer_ray.results.evaluation import ClassScore, Evaluation, evaluate, wilson_interval

CLASSES = ("a", "b", "c")


def drawn(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    scores = generator.normal(size=(n, 3))
    scores[np.arange(n), labels] += 1
    shares = np.exp(scores)
    return labels, shares / shares.sum(axis=1, keepdims=True)


def one_hot(predicted: list[int]) -> np.ndarray:
    return np.eye(3)[predicted]


def test_scores_agree_with_scikit_learn() -> None:
    labels, shares = drawn()
    found, predicted = evaluate(labels, shares, CLASSES), shares.argmax(axis=1)
    assert found.n == 400
    assert found.accuracy == metrics.accuracy_score(labels, predicted)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, shares))
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, predicted))
    assert [row.support for row in found.per_class] == np.bincount(labels).tolist()
    assert found.per_class[1].recall == pytest.approx(
        metrics.recall_score(labels, predicted, labels=[1], average=None)[0]
    )


def test_wilson_interval_is_the_published_one() -> None:
    # Brown, Cai and DasGupta (2001): centre (x + z²/2) / (n + z²).
    z, x, n = 1.959963984540054, 81, 263
    centre, root = (x + z**2 / 2) / (n + z**2), z * np.sqrt(x * (n - x) / n + z**2 / 4) / (n + z**2)
    assert wilson_interval(x, n) == pytest.approx((centre - root, centre + root))
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == 1


def test_a_row_with_nan_counts_as_wrong_and_in_no_column() -> None:
    shares = one_hot([0, 1, 2, 2])
    shares[1] = [np.nan, 1.0, 0.0]
    shares[2, 2] = np.inf
    found = evaluate([0, 1, 2, 2], shares, CLASSES)
    assert found.unanswered == 2
    assert found.accuracy == 0.5
    assert found.log_loss is None
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert [row.recall for row in found.per_class] == [1, 0, 0.5]
    assert found.balanced_accuracy == pytest.approx(0.5)


def test_only_classes_with_labels_enter_the_averages() -> None:
    found = evaluate([0, 0, 1, 1], one_hot([0, 2, 1, 1]), CLASSES)
    absent = found.per_class[2]
    assert absent == ClassScore(name="c", precision=0, recall=None, f1=0, support=0)
    assert found.balanced_accuracy == pytest.approx(0.75)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_neither_labelled_nor_predicted_has_no_scores() -> None:
    found = evaluate([0, 1], one_hot([0, 1]), CLASSES)
    assert found.per_class[2] == ClassScore(name="c", precision=None, recall=None, f1=None, support=0)
    assert found.accuracy == found.macro_f1 == found.balanced_accuracy == 1


def test_of_equal_probabilities_the_first_class_is_predicted() -> None:
    assert evaluate([0], [[0.5, 0.5, 0.0]], CLASSES).accuracy == 1
    assert evaluate([1], [[0.5, 0.5, 0.0]], CLASSES).accuracy == 0


@pytest.mark.parametrize(
    ("labels", "shares", "named"),
    [
        ([], np.zeros((0, 3)), "labels"),
        ([0.5], one_hot([0]), "labels"),
        ([3], one_hot([0]), "labels"),
        ([-1], one_hot([0]), "labels"),
        ([0], [[0.5, 0.5]], "probabilities"),
        ([0, 1], one_hot([0]), "probabilities"),
        ([0], [[2.0, -1.0, 0.0]], "probabilities"),
        ([0], [[0.9, 0.9, 0.9]], "probabilities"),
    ],
)
def test_what_is_no_evaluation_is_one_clear_error(labels: list[int], shares: np.ndarray, named: str) -> None:
    with pytest.raises(DataError, match=f"^{named}: "):
        evaluate(labels, shares, CLASSES)


def test_an_evaluation_survives_json() -> None:
    labels, shares = drawn(50)
    shares[0] = np.nan
    found = evaluate(labels, shares, CLASSES, protocol="drawn")
    again = Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    assert again.confusion.dtype == np.int64
    assert again.classes == CLASSES


def test_the_confusion_plot_darkens_the_diagonal_and_leaves_no_pyplot(tmp_path) -> None:
    found = evaluate([0, 0, 1], one_hot([0, 0, 1]), CLASSES)
    before = set(sys.modules)
    path = save_confusion_plot(found, tmp_path / "plots" / "confusion.png", "drawn")
    with Image.open(path) as image:
        assert image.format == "PNG"
        dark = (np.asarray(image.convert("RGB")) == (8, 48, 107)).all(axis=2)  # the last colour of "Blues"
    # Two of nine cells are full; the row of the class without labels stays empty.
    assert 0.03 < dark.mean() < 0.2
    assert "matplotlib.pyplot" not in set(sys.modules) - before
