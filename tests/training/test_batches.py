"""Batches: their order, what they copy, what they leave out; class weights; learning rates; threads."""

import os
from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ray.errors import ConfigError
from fer_ray.training.batches import Batches, class_weights, fit_batches
from fer_ray.training.schedules import learning_rate_schedule
from fer_ray.training.threads import limit_threads

pytestmark = pytest.mark.keras


@pytest.fixture
def arrays():
    images = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2, 1)
    labels = np.arange(10)
    images.setflags(write=False)
    return images, labels


def order(batches):
    return [int(label) for index in range(len(batches)) for label in batches[index][1]]


def test_validation_batches_are_views_in_order_and_lose_nothing(arrays):
    batches = Batches(*arrays, 4)
    assert [len(batches[index][0]) for index in range(len(batches))] == [4, 4, 2]
    assert order(batches) == list(range(10))
    for index in range(len(batches)):
        assert np.shares_memory(batches[index][0], arrays[0])


def test_an_epoch_of_training_leaves_out_the_rest_that_fills_no_batch(arrays):
    batches = Batches(*arrays, 4, shuffle=True, seed=1)
    seen = order(batches)
    assert len(seen) == len(set(seen)) == 8
    for index in range(len(batches)):
        images, labels = batches[index]
        np.testing.assert_array_equal(images, arrays[0][labels])


def test_fewer_images_than_a_batch_are_one_batch(arrays):
    batches = Batches(*arrays, 64, shuffle=True)
    assert len(batches) == 1
    assert sorted(order(batches)) == list(range(10))


def test_each_image_is_left_out_in_some_epochs_alone(arrays):
    batches, seen = Batches(*arrays, 4, shuffle=True, seed=1), set()
    for epoch in range(6):
        batches.start_epoch(epoch)
        seen |= set(order(batches))
    assert seen == set(range(10))


@given(seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000))
def test_seed_and_epoch_alone_decide_the_order(seed, epoch):
    images, labels = np.zeros((32, 1, 1, 1), np.uint8), np.arange(32)
    one, other = (Batches(images, labels, 8, shuffle=True, seed=seed) for _ in range(2))
    for earlier in range(epoch % 3):
        other.start_epoch(earlier)
    one.start_epoch(epoch)
    other.start_epoch(epoch)
    assert order(one) == order(other)
    other.start_epoch(epoch + 1)
    assert order(one) != order(other)


def test_mixup_adds_the_same_share_of_image_and_label():
    images = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 4).reshape(-1, 2, 2, 1)
    labels = np.arange(25) % 5
    batches = Batches(images, labels, 5, shuffle=True, seed=4, mixup=0.4, classes=5)
    shares = []
    for index in range(len(batches)):
        mixed, targets = batches[index]
        chosen = batches.order[5 * index : 5 * index + 5]
        others = np.roll(chosen, 1)
        share = np.random.default_rng((4, 0, index)).beta(0.4, 0.4)
        expected = (1 - share) * images[chosen].astype(float) + share * images[others].astype(float)
        np.testing.assert_allclose(mixed, expected, atol=0.51)
        eye = np.eye(5)
        np.testing.assert_allclose(
            targets, (1 - share) * eye[labels[chosen]] + share * eye[labels[others]], atol=1e-6
        )
        assert (mixed.dtype, targets.dtype) == (np.uint8, np.float32)
        shares.append(share)
    assert len(set(shares)) == len(shares)


def test_training_that_starts_in_the_middle_sees_the_order_of_that_epoch(arrays, monkeypatch):
    trained = []

    class Watched(Batches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            if self.shuffle:
                trained.append((tuple(self.order), index))
            return batch

    monkeypatch.setattr("fer_ray.training.batches.Batches", Watched)
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"batch_size": 5, "seed": 3, "verbose": 0, "validation_data": arrays}
    fit_batches(model, *arrays, epochs=3, initial_epoch=1, **options)
    expected = [tuple(np.random.default_rng((3, epoch)).permutation(10)) for epoch in (1, 2)]
    assert list(dict.fromkeys(order for order, _ in trained if order in expected)) == expected
    assert {(order, index) for order in expected for index in (0, 1)} <= set(trained)


@pytest.mark.parametrize("kind", ["balanced", "sqrt"])
def test_class_weights_lift_rare_classes_and_average_one_over_the_images(kind):
    labels = np.repeat([0, 1, 3], [60, 30, 10])
    weights = class_weights(labels, kind)
    assert np.mean([weights[label] for label in labels]) == pytest.approx(1)
    power = {"balanced": 1, "sqrt": 0.5}[kind]
    assert weights[3] / weights[0] == pytest.approx(6**power)
    assert weights[1] / weights[0] == pytest.approx(2**power)
    assert weights[2] == 0  # Has no images.


def test_without_class_weights_there_are_none():
    assert class_weights(np.array([0, 1, 1]), "none") is None


def rates(kind, peak, epochs):
    schedule = learning_rate_schedule(kind, peak, epochs).schedule
    return [schedule(epoch, 0.123) for epoch in range(epochs)]


def test_a_constant_rate_is_constant():
    assert rates("constant", 0.01, 4) == [0.01] * 4


def test_a_cosine_warms_up_begins_at_its_peak_and_only_falls():
    found = rates("cosine", 0.01, 9)
    assert found[0] == 0.005
    assert found[1] == 0.01
    assert all(a > b for a, b in pairwise(found[1:]))
    assert found[-1] > 0.01 * 0.01
    schedule = learning_rate_schedule("cosine", 0.01, 9).schedule
    assert schedule(9) == pytest.approx(0.0001)
    assert schedule(50) == pytest.approx(0.0001)


def test_a_plateau_halves_the_rate():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.08), "mse")
    schedule = learning_rate_schedule("plateau", 0.08, 9)
    schedule.set_model(model)
    schedule.on_train_begin()
    for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.5, 2.5, 1.0]):
        schedule.on_epoch_end(epoch, {"val_loss": loss})
    assert float(model.optimizer.learning_rate) == pytest.approx(0.04)


def test_one_epoch_trains_at_the_peak():
    assert rates("cosine", 0.01, 1) == [0.01]


def test_threads_are_fixed_in_the_environment(monkeypatch):
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "9")
    limit_threads(3)
    assert os.environ["OMP_NUM_THREADS"] == os.environ["TF_NUM_INTRAOP_THREADS"] == "3"
    assert os.environ["TF_NUM_INTEROP_THREADS"] == "1"
    with pytest.raises(ConfigError, match=r"threads: must be at least 1\. Received: 0"):
        limit_threads(0)
