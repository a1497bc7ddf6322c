"""What a checkpoint keeps of a user's callbacks."""

from collections import defaultdict, namedtuple

import keras
import numpy as np
import pytest

from fer_ray.training.callback_state import callback_state, restore_callback_state
from fer_ray.training.checkpoint import Checkpoint, CheckpointFolder

pytestmark = pytest.mark.keras

Point = namedtuple("Point", "x y")


class Everything(keras.callbacks.Callback):
    """Holds plain data, and what is none."""

    def __init__(self):
        super().__init__()
        self.wait, self.best, self.name, self.nothing = 3, np.float32(0.5), "a", None
        self.scores = {"loss": [1.0, (2, 3)]}
        self.weights = [np.arange(3)]
        self.file = open("/dev/null")  # noqa: SIM115
        self.function = lambda: 1
        self.point, self.counts = Point(1, 2), defaultdict(int, a=1)
        self.objects = np.array([object()], dtype=object)
        self.mixed = [1, {"deep": object()}]

    def on_train_end(self, logs=None):
        self.file.close()


@pytest.fixture
def everything():
    callback = Everything()
    yield callback
    callback.on_train_end()


def test_plain_attributes_are_kept_and_others_are_not(everything):
    kept = callback_state(everything)
    assert set(kept) == {"wait", "best", "name", "nothing", "scores", "weights"}


def test_later_epochs_do_not_change_what_was_kept(everything):
    kept = callback_state(everything)
    everything.scores["loss"].append(9)
    everything.weights[0][0] = 9
    assert kept["scores"] == {"loss": [1.0, (2, 3)]}
    assert kept["weights"][0].tolist() == [0, 1, 2]


def test_what_is_kept_goes_through_a_checkpoint(everything, tmp_path):
    folder, kept = CheckpointFolder(tmp_path), callback_state(everything)
    empty = {"model": [], "optimizer": [], "best": [], "best_epoch": 0, "best_value": None}
    folder.save(Checkpoint(epoch=1, callbacks=[kept], **empty))
    (found,) = folder.load().callbacks
    assert repr(found) == repr(kept)


def test_early_stopping_keeps_the_sign_of_its_smallest_change(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = keras.callbacks.EarlyStopping("val_loss", min_delta=0.1, patience=9)
    before.set_model(model)
    before.on_train_begin()
    before.on_epoch_end(0, {"val_loss": 1.0})
    before.on_epoch_end(1, {"val_loss": 0.95})
    folder = CheckpointFolder(tmp_path)
    empty = {"model": [], "optimizer": [], "best": [], "best_epoch": 0, "best_value": None}
    folder.save(Checkpoint(epoch=2, callbacks=[callback_state(before)], **empty))

    after = keras.callbacks.EarlyStopping("val_loss", min_delta=0.1, patience=9)
    after.set_model(model)
    after.on_train_begin()
    restore_callback_state(after, folder.load().callbacks[0])
    for callback in (before, after):
        callback.on_epoch_end(2, {"val_loss": 0.92})
        assert (callback.wait, callback.best) == (2, 1.0)
