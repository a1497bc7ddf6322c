"""Metrics and losses against scikit-learn and Keras's own."""

import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from fer_ray.training.losses import SmoothedCrossentropy
from fer_ray.training.metrics import BalancedAccuracy, MacroF1, classification_metrics, score_predictions

pytestmark = pytest.mark.keras

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def expected_scores(labels, predicted):
    """Macro-F1 over the classes that have labels, and balanced accuracy, by scikit-learn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class is predicted that has no label.
        return {
            "accuracy": np.mean(labels == predicted),
            "macro_f1": f1_score(labels, predicted, labels=np.unique(labels), average="macro"),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        }


@settings(max_examples=40)
@given(pairs=pairs)
def test_scores_are_those_of_scikit_learn(pairs):
    labels, predicted = np.array(pairs).T
    scores = np.eye(5, dtype=np.float32)[predicted]
    assert score_predictions(labels, scores) == pytest.approx(expected_scores(labels, predicted), abs=1e-6)


def test_an_epoch_in_batches_is_one_sum_and_the_next_starts_anew():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 4, 100), generator.integers(0, 4, 100)
    scores = np.eye(4, dtype=np.float32)[predicted]
    for metric in classification_metrics(4):
        for start in range(0, 100, 30):
            metric.update_state(labels[start : start + 30, None], scores[start : start + 30])
        assert float(metric.result()) == pytest.approx(expected_scores(labels, predicted)[metric.name])
        metric.reset_state()
        metric.update_state(labels[:1], np.eye(4, dtype=np.float32)[labels[:1]])
        assert float(metric.result()) == 1.0


def test_keras_knows_that_more_is_better():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=classification_metrics(3))
    x, y = np.zeros((4, 2), np.float32), np.zeros(4)
    monitors = [keras.callbacks.EarlyStopping(f"val_{metric.name}") for metric in classification_metrics(3)]
    model.fit(x, y, validation_data=(x, y), epochs=2, callbacks=monitors, verbose=0)
    assert all(monitor.monitor_op(1.0, 0.0) for monitor in monitors)


def test_no_image_scores_zero():
    assert [float(metric.result()) for metric in (MacroF1(3), BalancedAccuracy(3))] == [0.0, 0.0]


@pytest.mark.parametrize("metric", [MacroF1(5), BalancedAccuracy(5), SmoothedCrossentropy(0.1)])
def test_they_are_saved_with_their_arguments(metric):
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()


@settings(max_examples=25)
@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    smoothing=st.sampled_from([0.0, 0.05, 0.15, 0.9]),
    seed=st.integers(0, 1000),
)
def test_smoothed_crossentropy_is_that_of_one_hot_labels(labels, smoothing, seed):
    scores = np.random.default_rng(seed).random((len(labels), 7), dtype=np.float32) + 1e-3
    scores /= scores.sum(axis=1, keepdims=True)
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    expected = float(theirs(np.eye(7, dtype=np.float32)[labels], scores))
    ours = SmoothedCrossentropy(smoothing)
    for shape in ((-1,), (-1, 1)):
        assert float(ours(np.array(labels).reshape(shape), scores)) == pytest.approx(expected, rel=1e-5)


def test_without_smoothing_it_is_sparse_crossentropy():
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    labels = np.array([0, 1])
    assert float(SmoothedCrossentropy()(labels, scores)) == pytest.approx(
        -(np.log(0.7) + np.log(0.1)) / 2, rel=1e-5
    )


def test_distributions_are_targets_too():
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    targets = np.array([[0.75, 0.25, 0.0], [0.0, 0.6, 0.4]], np.float32)
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    assert float(SmoothedCrossentropy(0.1)(targets, scores)) == pytest.approx(float(theirs(targets, scores)))
    for metric in classification_metrics(3):
        metric.update_state(targets, scores)
        assert float(metric.result()) == pytest.approx(
            expected_scores(np.array([0, 1]), np.array([0, 2]))[metric.name]
        )


def test_class_weights_reach_the_loss():
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    weighted = float(SmoothedCrossentropy()(np.array([0, 1]), scores, sample_weight=np.array([0.0, 2.0])))
    assert weighted == pytest.approx(-2 * np.log(0.1) / 2, rel=1e-5)
