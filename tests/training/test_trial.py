"""One trial: exact resume in another process, failures with their reason, files written for Keras Tuner."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_ray.errors import FailedTrialError, InfeasibleModelError
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.trial import Verdict, train

pytestmark = pytest.mark.keras

SCRIPT = Path(__file__).parent / "exact_resume.py"


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Runs in one process what goes straight through and up to a pause, in another what is resumed."""
    folder = tmp_path_factory.mktemp("exact")
    for part in ("straight", "resumed"):
        command = [sys.executable, str(SCRIPT), part, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def kept(run, epoch):
    """The checkpoint that a run kept after an epoch."""
    (alone := run / f"alone-{epoch}").mkdir(exist_ok=True)
    name = f"epoch-{epoch:05d}.npz"
    (alone / name).write_bytes((run / "kept" / name).read_bytes())
    return CheckpointFolder(alone).load()


def assert_same(one, other):
    for group in ("model", "optimizer", "best"):
        pairs = list(zip(getattr(one, group), getattr(other, group), strict=True))
        for place, (a, b) in enumerate(pairs):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert a.tobytes() == b.tobytes(), f"{group}[{place}] at epoch {one.epoch}"
    assert (one.epoch, one.best_epoch, one.best_value) == (other.epoch, other.best_epoch, other.best_value)
    assert one.random_state == other.random_state
    assert repr(one.callbacks) == repr(other.callbacks)


@pytest.mark.parametrize(
    ("scenario", "pause", "last"),
    [
        ("baseline", 3, 6),
        ("mixed", 3, 6),
        ("transfer", 2, 6),
        ("watchful", 3, 5),
        ("bfloat16", 3, 5),
        ("float16", 3, 5),
    ],
)
def test_a_trial_resumed_in_another_process_is_the_one_that_never_stopped(exact, scenario, pause, last):
    straight, paused = exact / scenario / "straight", exact / scenario / "paused"
    expected = json.loads((straight / "straight.json").read_text())
    assert [epoch["epoch"] for epoch in expected] == list(range(1, last + 1))
    assert json.loads((paused / "straight.json").read_text()) == expected[:pause]
    assert json.loads((paused / "resumed.json").read_text()) == expected[pause:]
    for epoch in range(1, last + 1):
        assert_same(kept(paused, epoch), kept(straight, epoch))


def test_the_callbacks_of_the_resumed_trial_had_something_to_remember(exact):
    # Four epochs without improvement stop it at the fifth; two halve the learning rate after the third.
    epochs = json.loads((exact / "watchful" / "paused" / "resumed.json").read_text())
    assert [epoch["epoch"] for epoch in epochs] == [4, 5]
    assert epochs[0]["learning_rate"] == pytest.approx(5e-4)


def test_the_resumed_epochs_trained_at_all(exact):
    for scenario in ("baseline", "bfloat16", "float16", "transfer", "watchful"):
        straight = exact / scenario / "straight"
        before, after = kept(straight, 3).model, kept(straight, 5).model
        assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_file_written_for_keras_tuner_alone_trains(plain_build, trial_config, data):
    epochs = []
    train(trial_config(plain_build, 3, values={"units": 8}), data, report=epochs.append)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert epochs[-1]["parameters"] == 12 * 12 * 8 + 8 + 8 * 3 + 3
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert all(epoch["seconds"] > 0 for epoch in epochs)


def test_a_trial_that_has_trained_to_its_end_trains_no_more(plain_build, trial_config, data, tmp_path):
    config, checkpoints = trial_config(plain_build), CheckpointFolder(tmp_path / "checkpoints")
    first, again = [], []
    train(config, data, report=first.append, checkpoints=checkpoints)
    train(config, data, report=again.append, checkpoints=checkpoints)
    # Its last epoch is told again: a kill may have come between the checkpoint and the report.
    assert again == first[-1:]


class Killed(BaseException):
    """Stands for a kill at the worst moment: the checkpoint is written, the epoch not yet reported."""


def test_an_epoch_that_was_kept_but_not_reported_is_not_lost(plain_build, trial_config, data, tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(plain_build, 4, checkpoint_epochs=frozenset({2}))
    straight, resumed = [], []
    train(config, data, report=straight.append)

    def report(metrics):
        if metrics["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train(config, data, report=report, checkpoints=checkpoints)
    train(config, data, report=resumed.append, checkpoints=checkpoints)
    told = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in resumed]
    assert told == [
        {name: value for name, value in epoch.items() if name != "seconds"} for epoch in straight[1:]
    ]


def test_a_stop_ends_training_and_leaves_the_checkpoint(plain_build, trial_config, data, tmp_path):
    checkpoints, epochs = CheckpointFolder(tmp_path / "checkpoints"), []

    def report(metrics):
        epochs.append(metrics["epoch"])
        return Verdict.STOP if metrics["epoch"] == 2 else Verdict.CONTINUE

    config = trial_config(plain_build, 5, checkpoint_epochs=frozenset({2}))
    train(config, data, report=report, checkpoints=checkpoints)
    assert epochs == [1, 2]
    assert checkpoints.load().epoch == 2


def test_the_same_seed_gives_the_same_trial_and_another_another(plain_build, trial_config, data):
    def losses(seed):
        epochs = []
        train(trial_config(plain_build, seed=seed), data, report=epochs.append)
        return [epoch["loss"] for epoch in epochs]

    assert losses(1) == losses(1) != losses(2)


def test_a_trial_leaves_keras_as_it_was(plain_build, trial_config, data):
    train(trial_config(plain_build, precision="mixed_bfloat16"), data, report=lambda epoch: None)
    assert keras.config.dtype_policy().name == "float32"


def test_five_poolings_by_three_on_48_pixels_cannot_be_built(space_file, trial_config):
    from fer_ray.training.trial import TrialData

    images, labels = np.zeros((8, 48, 48, 1), np.uint8), np.arange(8) % 3
    text = """
    import keras

    def build(hp):
        model = keras.Sequential([keras.Input((48, 48, 1))])
        for _ in range(hp.Int("poolings", 3, 5)):
            model.add(keras.layers.Conv2D(4, 3, padding="same"))
            model.add(keras.layers.MaxPooling2D(3))
        return model
    """
    small = TrialData(train=(images, labels), validation=(images, labels), classes=3)
    with pytest.raises(InfeasibleModelError, match=r"build: must return a model\. Received: ValueError: .*"):
        train(trial_config(text, values={"poolings": 5}), small, report=lambda epoch: None)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("def build(hp):\n    return 3", InfeasibleModelError, "must return a Keras model. Received: int"),
        ("def build(hp):\n    1 / 0", InfeasibleModelError, "Received: ZeroDivisionError: division by zero"),
    ],
)
def test_what_build_may_do_wrong(trial_config, data, text, error, message):
    with pytest.raises(error) as caught:
        train(trial_config(text), data, report=lambda epoch: None)
    assert message in str(caught.value)


def test_an_error_in_fit_fails_the_trial_in_one_line(trial_config, data):
    text = """
    import keras, keras_tuner

    class Breaks(keras_tuner.HyperModel):
        def build(self, hp):
            return keras.Sequential([keras.layers.Dense(1)])

        def fit(self, hp, model, *args, **kwargs):
            raise RuntimeError("\\x1b[1mout of\\x1b[0m\\n   memory")
    """
    with pytest.raises(FailedTrialError) as caught:
        train(trial_config(text), data, report=lambda epoch: None)
    assert str(caught.value) == "fit: must train the model. Received: RuntimeError: out of memory."
    assert not isinstance(caught.value, InfeasibleModelError)


@pytest.mark.parametrize(
    ("takes", "error"),
    [
        ("numpy.ones(1 << 50, 'uint8')", "MemoryError"),
        ("tensorflow.zeros([1 << 45])", "ResourceExhaustedError"),
    ],
)
def test_a_fit_that_asks_for_more_memory_than_there_is_fails_its_trial_alone(
    plain_build, space_file, trial_config, data, takes, error
):
    text = f"""
    import keras, keras_tuner, numpy, tensorflow

    class Hungry(keras_tuner.HyperModel):
        def build(self, hp):
            return keras.Sequential([keras.layers.Dense(1)])

        def fit(self, hp, model, *args, **kwargs):
            {takes}
    """
    with pytest.raises(FailedTrialError, match=rf"fit: must train the model\. Received: {error}: ") as caught:
        train(trial_config(space_file(text, "hungry.py")), data, report=lambda epoch: None)
    assert not isinstance(caught.value, InfeasibleModelError)
    epochs = []
    train(trial_config(plain_build), data, report=epochs.append)
    assert len(epochs) == 2


def test_a_fit_that_names_only_what_keras_tuners_search_was_given_trains(trial_config, data):
    # `search(x, y, validation_data=..., epochs=...)` passes no initial_epoch.
    text = """
    import keras, keras_tuner

    class Narrow(keras_tuner.HyperModel):
        def build(self, hp):
            model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, x, y, validation_data, epochs, callbacks):
            return model.fit(x, y, validation_data=validation_data, epochs=epochs, callbacks=callbacks)
    """
    epochs = []
    train(trial_config(text), data, report=epochs.append)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
