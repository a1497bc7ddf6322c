"""A configuration's pace, measured by a clock that the space itself moves."""

import sys
from types import SimpleNamespace

import pytest

from fer_ray.errors import InfeasibleModelError
from fer_ray.training import epochs, pace
from fer_ray.training.pace import measure_pace
from fer_ray.training.trial import TrialData

pytestmark = pytest.mark.keras

#: Building takes 3 s, tracing 2 s, an epoch 0.1 s and 1 ms a training image, 0.5 ms a validation image; `PHASES`
#: multiplies that.
SPACE = """
import keras, keras_tuner
from moved_clock import clock


class MovesClock(keras.callbacks.Callback):
    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.traced = seconds, False

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            clock.now += self.seconds * (PHASES) + 2.0 * (not self.traced)
            self.traced = True


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        clock.now += 3.0
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
        model.build((None, 12, 12, 1))
        model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, validation_data, callbacks, **options):
        seconds = 0.1 + 0.001 * len(x) + 0.0005 * len(validation_data[0])
        callbacks = [*callbacks, MovesClock(seconds)]
        return model.fit(x[:64], y[:64], validation_data=(x[:8], y[:8]), callbacks=callbacks, **options)
"""


#: One for all tests: a space file is imported once in a process.
CLOCK = SimpleNamespace(now=0.0)


@pytest.fixture
def clock(monkeypatch):
    CLOCK.now = 0.0
    monkeypatch.setitem(sys.modules, "moved_clock", SimpleNamespace(clock=CLOCK))
    for module in (pace, epochs):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: CLOCK.now))
    return CLOCK


@pytest.fixture
def data(images):
    return TrialData(train=images(6000, 12, 3, 1), validation=images(1000, 12, 3, 2), classes=3)


def measured(trial_config, data, folder, phases="1", **options):
    config = trial_config(SPACE.replace("PHASES", phases), max_epochs=9, **options)
    return measure_pace(config, data, folder / "checkpoints")


def test_an_epoch_on_all_images_follows_from_one_on_a_part(clock, trial_config, data, tmp_path):
    found = measured(trial_config, data, tmp_path)
    # 1,280 images take 1.49 s, of which the epoch's own 0.1 s would not grow.
    assert found.first_epoch == pytest.approx((0.1 + 1.28 + 0.1065) * 6000 / 1280)
    assert found.last_epoch == pytest.approx(found.first_epoch)
    assert found.start == pytest.approx(3.0 + 2.0)
    assert found.epochs(9) == pytest.approx([6.6] * 9, rel=0.06)
    assert found.parameters == 12 * 12 * 3 + 3
    assert found.checkpoint_mb * 1e6 >= 2 * 4 * found.parameters


def test_later_phases_are_measured_at_the_end(clock, trial_config, data, tmp_path):
    found = measured(trial_config, data, tmp_path, "1 + 2 * (self.epoch >= 5)")
    assert found.last_epoch == pytest.approx(3 * found.first_epoch, rel=0.01)
    assert found.epochs(3) == pytest.approx([6.6, 2 * 6.6, 3 * 6.6], rel=0.06)


def test_a_fit_that_cannot_begin_later_is_measured_at_its_begin(clock, trial_config, data, tmp_path):
    found = measured(trial_config, data, tmp_path, "1 + 2 * (self.epoch >= 5)", resumable=False)
    assert found.last_epoch == pytest.approx(found.first_epoch)


def test_slow_training_is_not_made_longer(clock, trial_config, data, tmp_path):
    found = measured(trial_config, data, tmp_path, "100")
    assert found.first_epoch == pytest.approx(100 * (0.1 + 0.256 + 0.0215) * 6000 / 256, rel=0.01)
    # Six epochs of 256 images, two of them with building and tracing.
    assert clock.now == pytest.approx(6 * 37.75 + 2 * 5, rel=0.01)


def test_fewer_images_than_are_asked_for_are_all_taken(clock, trial_config, data_of, tmp_path):
    found = measured(trial_config, data_of(12), tmp_path)
    assert found.first_epoch == pytest.approx(0.1 + 0.024 + 0.006)


def test_a_fit_that_reports_once_has_its_epochs_in_equal_parts(clock, trial_config, data, tmp_path):
    whole = "clock.now += 9 * 0.002 * len(x)\n        return 0.5\n        seconds ="
    space = SPACE.replace("PHASES", "1").replace("seconds = 0.1", whole + " 0.1")
    found = measure_pace(trial_config(space, max_epochs=9), data, tmp_path / "checkpoints")
    # The 3 s of building cannot be told from the nine epochs on 512 images.
    assert found.first_epoch == pytest.approx((3 / 9 + 0.002 * 512) * 6000 / 512)
    assert found.start == 0


def test_a_model_that_cannot_be_built_has_no_pace(clock, trial_config, data, tmp_path):
    broken = SPACE.replace("clock.now += 3.0", "raise ValueError('no such layer')")
    with pytest.raises(InfeasibleModelError, match="no such layer"):
        measure_pace(trial_config(broken), data, tmp_path / "checkpoints")
