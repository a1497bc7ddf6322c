"""What the loop around `fit` adds, whatever a user's `fit` does inside."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from fer_ray.errors import FailedTrialError
from fer_ray.objective import Objective
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.discovery import discover
from fer_ray.training.rebuild import rebuild_model
from fer_ray.training.trial import TrialConfig, Verdict, train

pytestmark = pytest.mark.keras

MODEL = """
import keras
import keras_tuner

class Model(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""


def with_fit(body):
    """The model above with a `fit` of its own."""
    lines = "\n".join("        " + line for line in body.strip().splitlines())
    return f"{MODEL}\n    def fit(self, hp, model, x, y, **options):\n{lines}\n"


def collect(config, data, stop_at=None, checkpoints=None):
    epochs = []

    def report(metrics):
        epochs.append(metrics)
        return Verdict.STOP if metrics["epoch"] == stop_at else None

    train(config, data, report=report, checkpoints=checkpoints)
    return epochs


COUNTED = """
import keras
import keras_tuner
import numpy as np

class OwnMetrics(keras.Model):
    @property
    def metrics(self):
        return [metric for metric in super().metrics if "fer_ray" not in metric.name]

class Watch(keras.callbacks.Callback):
    # What the model predicts of training images before an epoch of one step, and of validation images after it.
    def __init__(self, x, held_out):
        super().__init__()
        self.x, self.held_out, self.seen = x, held_out, []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(np.asarray(self.model(self.x)).argmax(axis=1))

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(np.asarray(self.model(self.held_out)).argmax(axis=1))
        self.model.evaluate(self.x[:5], np.zeros(5), verbose=0)  # Counts anew, for nobody.

class Model(keras_tuner.HyperModel):
    def build(self, hp):
        images = keras.Input((12, 12, 1))
        scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(images))
        model = KIND(images, scores)
        model.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, **options):
        watch = Watch(x, options["validation_data"][0])
        callbacks = [watch, *options.pop("callbacks")]
        model.predict = None  # Nothing is left to be predicted once more.
        history = model.fit(x, y, batch_size=len(x), callbacks=callbacks, **options, **OPTIONS)
        np.savez(__file__ + ".npz", *watch.seen)
        return history
"""


def scores_of(labels, predicted):
    return {
        "accuracy": np.mean(predicted == labels),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
    }


def run_counted(trial_config, data, kind, options):
    """Reported epochs and, for each, what was predicted of training and validation images."""
    space = trial_config(COUNTED.replace("KIND", kind).replace("OPTIONS", options), max_epochs=4)
    epochs = collect(space, data)
    with np.load(f"{space.space_file.path}.npz") as file:
        seen = [file[name] for name in file.files]
    return epochs, zip(seen[::2], seen[1::2], strict=True)


@pytest.mark.parametrize("kind", ["keras.Model", "OwnMetrics"])
def test_a_model_compiled_with_accuracy_alone_gets_the_other_scores(trial_config, data, kind):
    epochs, predictions = run_counted(trial_config, data, kind, "{}")
    for epoch, (trained, held_out) in zip(epochs, predictions, strict=True):
        expected = scores_of(data.train[1], trained)
        expected |= {f"val_{name}": value for name, value in scores_of(data.validation[1], held_out).items()}
        assert {name: epoch[name] for name in expected} == pytest.approx(expected)
    assert len({epoch["macro_f1"] for epoch in epochs}) > 1
    assert epochs[0]["epoch"] == 1
    assert epochs[0]["parameters"] == 12 * 12 * 3 + 3


def test_an_epoch_without_validation_has_scores_of_training(trial_config, data):
    text = COUNTED.replace("model.predict = None", "pass")
    space = trial_config(
        text.replace("KIND", "keras.Model").replace("OPTIONS", "{'validation_freq': 2}"), max_epochs=2
    )
    first, _ = collect(space, data)
    with np.load(f"{space.space_file.path}.npz") as file:
        trained, held_out = file["arr_0"], file["arr_1"]
    assert first["macro_f1"] == pytest.approx(scores_of(data.train[1], trained)["macro_f1"])
    assert first["val_macro_f1"] == pytest.approx(scores_of(data.validation[1], held_out)["macro_f1"])


def test_a_model_that_is_built_by_its_first_batch_gets_the_other_scores(trial_config, data):
    text = with_fit(
        """
import numpy as np
history = model.fit(x, y, **options)
np.save(PATH, model.predict(options["validation_data"][0], verbose=0))
return history
"""
    )
    space = trial_config("PATH = __file__ + '.npy'\n" + text, max_epochs=1)
    (epoch,) = collect(space, data)
    predicted = np.load(f"{space.space_file.path}.npy").argmax(axis=1)
    expected = scores_of(data.validation[1], predicted)
    assert {name: epoch[f"val_{name}"] for name in expected} == pytest.approx(expected)


def test_a_score_of_the_users_own_is_not_replaced(trial_config, data):
    text = with_fit(
        """
class Mine(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        logs["val_macro_f1"] = 0.125
return model.fit(x, y, **{**options, "callbacks": [Mine(), *options["callbacks"]]})
"""
    )
    (epoch,) = collect(trial_config(text, max_epochs=1), data)
    assert epoch["val_macro_f1"] == 0.125


def test_a_missing_objective_names_what_there_is(trial_config, data):
    with pytest.raises(FailedTrialError) as caught:
        collect(trial_config(with_fit("return model.fit(x, y, **options)"), metric="val_auc"), data)
    assert "objective: val_auc must be reported each epoch" in str(caught.value)
    assert "val_accuracy, val_balanced_accuracy, val_loss, val_macro_f1" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 0.5", {"val_accuracy": 0.5}),
        ("return {'val_accuracy': 0.25, 'val_loss': 3}", {"val_accuracy": 0.25, "val_loss": 3.0}),
    ],
)
def test_a_fit_may_return_its_score_instead_of_calling_callbacks(trial_config, data, body, expected):
    (epoch,) = collect(trial_config(with_fit(body), max_epochs=4), data)
    assert epoch.pop("seconds") >= 0
    assert epoch == {**expected, "epoch": 4}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "must call the callbacks it is given, or return a number or a dict. Received: None"),
        ("return {'val_loss': 1.0}", "val_accuracy must be reported each epoch. Received: val_loss"),
    ],
)
def test_a_fit_that_reports_nothing_of_use_fails(trial_config, data, body, message):
    with pytest.raises(FailedTrialError) as caught:
        collect(trial_config(with_fit(body)), data)
    assert message in str(caught.value)


TWO_PHASES = """
epochs, start = options.pop("epochs"), options.pop("initial_epoch", 0)
for end in (2, epochs):
    if start < end:
        model.fit(x, y, epochs=end, initial_epoch=start, **options)
        start = end
"""


def test_a_stop_ends_both_phases(trial_config, data):
    config = trial_config(with_fit(TWO_PHASES), max_epochs=5)
    assert [epoch["epoch"] for epoch in collect(config, data)] == [1, 2, 3, 4, 5]
    assert [epoch["epoch"] for epoch in collect(config, data, stop_at=1)] == [1]
    assert [epoch["epoch"] for epoch in collect(config, data, stop_at=2)] == [1, 2]
    assert [epoch["epoch"] for epoch in collect(config, data, stop_at=3)] == [1, 2, 3]


IGNORES = """
options.pop("initial_epoch", None)
return model.fit(x, y, **options)
"""


def test_a_fit_that_ignores_initial_epoch_is_found_out(trial_config, data):
    space = trial_config(with_fit(IGNORES)).space_file
    found = discover(space, data, objective=Objective(metric="val_accuracy", mode="max"))
    assert "must begin at initial_epoch 1. Received: epoch 0" in found.not_resumable
    good = trial_config(with_fit(TWO_PHASES)).space_file
    assert discover(good, data, objective=Objective(metric="val_loss", mode="min")).not_resumable is None


def test_a_trial_that_is_not_resumable_starts_over(trial_config, data, tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(with_fit(IGNORES), max_epochs=3, checkpoint_epochs=frozenset({2}), resumable=False)
    assert len(collect(config, data, stop_at=2, checkpoints=checkpoints)) == 2
    assert checkpoints.load().epoch == 2
    assert [epoch["epoch"] for epoch in collect(config, data, checkpoints=checkpoints)] == [1, 2, 3]


def test_a_resumed_fit_that_begins_elsewhere_fails(trial_config, data, tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(with_fit(IGNORES), max_epochs=3, checkpoint_epochs=frozenset({2}))
    collect(config, data, stop_at=2, checkpoints=checkpoints)
    with pytest.raises(FailedTrialError, match="must begin at initial_epoch 2"):
        collect(config, data, checkpoints=checkpoints)


def test_a_models_best_weights_come_back_without_its_checkpoint(trial_config, data, tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(MODEL, max_epochs=1)
    (epoch,) = collect(config, data, checkpoints=folder)
    model = rebuild_model(config, data, folder.load().best)
    images, labels = data.validation
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    assert np.mean(predicted == labels) == pytest.approx(epoch["val_accuracy"])
    with pytest.raises(FailedTrialError, match="checkpoint: must fit the model"):
        rebuild_model(config, data, folder.load().best[1:])


def test_a_checkpoint_of_another_model_is_refused(trial_config, data, tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    config = trial_config(with_fit(TWO_PHASES), max_epochs=2, checkpoint_epochs=frozenset({1}))
    collect(config, data, stop_at=1, checkpoints=checkpoints)
    other = trial_config(with_fit(TWO_PHASES).replace("Dense(3", "Dense(4"), max_epochs=2)
    with pytest.raises(FailedTrialError, match="checkpoint: must fit the model that build made"):
        collect(other, data, checkpoints=checkpoints)


@pytest.mark.parametrize(("mode", "epoch_of_best"), [("max", 2), ("min", 3)])
def test_the_best_weights_are_those_of_the_best_epoch(trial_config, data, tmp_path, mode, epoch_of_best):
    # Scores 5, 9, 1, NaN, infinite: neither of the last two is ever the best.
    text = with_fit(
        """
class Scores(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        logs["score"] = [5.0, 9.0, 1.0, float("nan"), float("-inf" if MODE == "min" else "inf")][epoch]
        self.model.layers[-1].bias.assign([epoch + 1.0] * 3)
return model.fit(x, y, **{**options, "callbacks": [Scores(), *options["callbacks"]]})
"""
    )
    config: TrialConfig = trial_config(f"MODE = {mode!r}\n{text}", max_epochs=5, metric="score", mode=mode)
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    assert len(collect(config, data, checkpoints=checkpoints)) == 5
    checkpoint = checkpoints.load()
    assert (checkpoint.best_epoch, checkpoint.best_value) == (epoch_of_best, {"max": 9.0, "min": 1.0}[mode])
    bias = next(array for array in checkpoint.best if array.shape == (3,))
    assert bias.tolist() == [epoch_of_best] * 3


def test_checkpoints_are_written_when_due_and_at_the_end(trial_config, data, tmp_path):
    folder, seen, best = CheckpointFolder(tmp_path / "checkpoints"), [], []
    config = trial_config(with_fit(TWO_PHASES), max_epochs=5, checkpoint_epochs=frozenset({1, 3}))

    def report(metrics):
        checkpoint = folder.load()
        seen.append(checkpoint.epoch)
        best.append(checkpoint.best_value)

    values = []
    train(
        config, data, report=lambda m: (report(m), values.append(m["val_accuracy"]))[-1], checkpoints=folder
    )
    # At rungs, at the end, and at each new best: whenever a trial ends, its value has its weights.
    assert {1, 3, 5} <= set(seen)
    assert best == [max(values[:epoch]) for epoch in range(1, 6)]


def test_a_checkpoint_is_written_after_its_longest_time(trial_config, data, tmp_path):
    folder, seen = CheckpointFolder(tmp_path / "checkpoints"), []
    config = trial_config(with_fit(TWO_PHASES), max_epochs=3, checkpoint_seconds=0.0)
    train(config, data, report=lambda metrics: seen.append(folder.load().epoch), checkpoints=folder)
    assert seen == [1, 2, 3]
