"""What is measured of a model before it trains, and what a broken constraint costs: nothing."""

import keras
import pytest

from fer_ray.errors import ConstraintError, FailedTrialError, InfeasibleModelError
from fer_ray.objective import Objective
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.trial import Verdict, train

pytestmark = pytest.mark.keras

#: 12 x 12 pixels on 8 units on 3 classes.
WEIGHTS = 12 * 12 * 8 + 8 + 8 * 3 + 3
SIZE = Objective(metric="parameters", mode="min")
LATENCY = Objective(metric="latency_ms", mode="min")

COUNTING = """
import keras, keras_tuner

fits = []

class Space(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *data, **options):
        fits.append(model)
        return model.fit(*data, **options)
"""


class Stopwatch:
    """Takes another time at each measurement, and knows of how many models."""

    def __init__(self, *times):
        self.times, self.models = list(times), []

    def __call__(self, model):
        self.models.append((model.count_params(), model.dtype_policy.name, keras.config.dtype_policy().name))
        return self.times.pop(0)


@pytest.fixture
def counting(space_file):
    """A space, and the models that its `fit` was called for."""
    space = space_file(COUNTING)
    fits = space._import().fits
    fits.clear()
    return space, fits


def rows_of(config, data, **options):
    rows = []
    train(config, data, report=rows.append, **options)
    return rows


def refused(config, data, **options):
    rows = []
    with pytest.raises(ConstraintError) as caught:
        train(config, data, report=rows.append, **options)
    assert rows == []
    return caught.value


def test_a_model_with_too_many_parameters_trains_no_step(counting, trial_config, data):
    space, fits = counting
    limit = {"parameters": 12 * 12 * 3 + 3}
    rows_of(trial_config(space, constraints=limit), data)
    assert len(fits) == 1
    error = refused(trial_config(space, constraints={"parameters": limit["parameters"] - 1}), data)
    assert len(fits) == 1
    assert str(error) == "parameters: must be at most 434 (constraints.max_parameters). Received: 435."
    assert error.value == 435
    assert isinstance(error, InfeasibleModelError)


def test_a_model_that_is_too_slow_trains_no_step(counting, trial_config, data):
    space, fits = counting
    config = trial_config(space, constraints={"latency_ms": 0.5})
    error = refused(config, data, latency=Stopwatch(0.75))
    assert fits == []
    assert str(error) == "latency_ms: must be at most 0.5 (constraints.max_latency_ms). Received: 0.75."
    assert error.value == 0.75


def test_a_model_that_is_too_large_is_not_timed(plain_build, trial_config, data):
    stopwatch = Stopwatch()
    config = trial_config(
        plain_build, values={"units": 8}, constraints={"parameters": WEIGHTS - 1, "latency_ms": 1}
    )
    assert refused(config, data, latency=stopwatch).where == "parameters"
    assert stopwatch.models == []


def test_what_was_measured_is_in_every_row(plain_build, trial_config, data):
    config = trial_config(plain_build, 3, values={"units": 8}, further=(SIZE, LATENCY))
    rows = rows_of(config, data, latency=Stopwatch(0.25))
    assert [(row["parameters"], row["latency_ms"]) for row in rows] == [(WEIGHTS, 0.25)] * 3


def test_measuring_changes_nothing_of_the_training(plain_build, trial_config, data):
    config = trial_config(plain_build, values={"units": 8}, precision="mixed_bfloat16")
    stopwatch = Stopwatch(0.25)
    plain, timed = rows_of(config, data), rows_of(config, data, latency=stopwatch)
    assert [row["loss"] for row in plain] == [row["loss"] for row in timed]
    # What serves is float32, whatever trains.
    assert stopwatch.models == [(WEIGHTS, "float32", "float32")]


@pytest.mark.parametrize("resumable", [True, False])
def test_a_trial_is_timed_once_in_its_life(plain_build, trial_config, data, tmp_path, resumable):
    checkpoints, stopwatch, rows = CheckpointFolder(tmp_path / "checkpoints"), Stopwatch(0.25, 0.5), []
    config = trial_config(plain_build, 3, checkpoint_epochs=frozenset({2}), resumable=resumable)

    def stop_after_two(row):
        rows.append(row)
        return Verdict.STOP if row["epoch"] == 2 else Verdict.CONTINUE

    train(config, data, report=stop_after_two, checkpoints=checkpoints, latency=stopwatch)
    rows += rows_of(config, data, checkpoints=checkpoints, latency=stopwatch)
    assert [row["epoch"] for row in rows] == ([1, 2, 2, 3] if resumable else [1, 2, 1, 2, 3])
    assert {row["latency_ms"] for row in rows} == {0.25}
    assert len(stopwatch.models) == 1


def test_a_fit_that_returns_its_score_has_its_measures_too(trial_config, data):
    text = """
    import keras, keras_tuner

    class Silent(keras_tuner.HyperModel):
        def build(self, hp):
            return keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])

        def fit(self, hp, model, *args, **kwargs):
            return {"val_accuracy": 0.5}
    """
    (row,) = rows_of(trial_config(text, further=(SIZE,)), data, latency=Stopwatch(0.25))
    assert (row["parameters"], row["latency_ms"]) == (12 * 12 * 3 + 3, 0.25)


def test_a_missing_further_objective_fails_the_trial(plain_build, trial_config, data):
    config = trial_config(plain_build, further=(Objective(metric="val_auc", mode="max"),))
    with pytest.raises(FailedTrialError, match="objective: val_auc must be reported each epoch"):
        train(config, data, report=lambda row: None)


def test_an_epoch_whose_further_objective_is_not_finite_is_not_the_best(trial_config, data, tmp_path):
    text = """
    import keras, keras_tuner

    class Space(keras_tuner.HyperModel):
        def build(self, hp):
            model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, x, y, validation_data, epochs, callbacks, initial_epoch=0):
            (loop,) = callbacks
            loop.set_model(model)
            loop.on_train_begin()
            for epoch, (accuracy, cost) in enumerate([(0.5, 1.0), (0.9, float("nan")), (0.7, 1.0)]):
                loop.on_epoch_begin(epoch)
                model(x[:1])
                loop.on_epoch_end(epoch, {"val_accuracy": accuracy, "cost": cost})
    """
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(text, 3, further=(Objective(metric="cost", mode="min"),))
    rows_of(config, data, checkpoints=checkpoints)
    kept = checkpoints.load()
    assert (kept.best_epoch, kept.best_value) == (3, 0.7)


def test_a_real_measurement_is_of_what_serves(plain_build, trial_config, data):
    from fer_ray.search.latency import latency_ms

    (row,) = rows_of(trial_config(plain_build, 1, values={"units": 8}), data, latency=latency_ms)
    assert 0 < row["latency_ms"] < 1000


def test_a_model_without_an_onnx_twin_is_infeasible_where_latency_counts(trial_config, data):
    from fer_ray.search.latency import latency_ms

    text = """
    import keras

    def build(hp):
        first = keras.Input((12, 12, 1))
        flat = keras.layers.Flatten()(first)
        model = keras.Model(first, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)])
        return model
    """
    with pytest.raises(InfeasibleModelError, match=r"latency_ms: needs an ONNX twin.*1 inputs, 2 outputs"):
        train(trial_config(text), data, report=lambda row: None, latency=latency_ms)
