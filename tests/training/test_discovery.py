"""Discovering a space: every scope is seen, what cannot be trained is listed."""

from pathlib import Path

import pytest

from fer_ray.errors import SpaceError
from fer_ray.objective import Objective
from fer_ray.spaces import Space
from fer_ray.training.discovery import discover
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialData

pytestmark = pytest.mark.keras

ACCURACY = Objective(metric="val_accuracy", mode="max")
SHIPPED = Path(__file__).parents[2] / "search_spaces"

#: A build whose model does not depend on what is asked for, so that scopes alone are looked at.
LIGHT = """
import keras

def model():
    made = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made
"""


def names(found):
    return [item["config"]["name"] for item in found.space["space"]]


def test_every_hyperparameter_of_the_baseline_is_found_with_its_conditions(data_of):
    space_file = SpaceFile(path=SHIPPED / "baseline.py", arguments={"filters": [4, 8], "batch_sizes": [8]})
    told = []
    found = discover(space_file, data_of(24), objective=ACCURACY, progress=lambda *call: told.append(call))
    assert len(set(names(found))) == len(names(found)) == 27
    assert {"momentum", "sgd_learning_rate", "weight_decay", "rotation", "schedule", "batch_size"} <= set(
        names(found)
    )
    assert found.not_resumable is None
    assert found.infeasible == []
    assert {"loss", "val_accuracy", "val_macro_f1", "val_balanced_accuracy", "accuracy"} <= set(found.metrics)
    space = Space.from_config(found.space)
    conditions = {item.name: {c.name: c.values for c in item.conditions} for item in space.hyperparameters}
    assert conditions["momentum"] == {"optimizer": ("sgd",)}
    assert conditions["learning_rate"] == {"optimizer": ("adam", "adamw")}
    assert conditions["rotation"] == {"augment": (True,)}
    assert space.complete({}) == found.space["values"]
    assert told


def test_scopes_within_scopes_are_found(space_file, data):
    text = (
        LIGHT
        + """
def build(hp):
    kind = hp.Choice("kind", ["a", "b", "c"])
    with hp.conditional_scope("kind", ["b"]):
        deep = hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            hp.Int("layers", 1, 3)
            with hp.conditional_scope("layers", [3]):
                if kind == "b" and deep and hp.get("layers") == 3:
                    hp.Float("innermost", 0.0, 1.0)
    with hp.conditional_scope("kind", ["c"]):
        hp.Int("alone", 0, 9)
    return model()
"""
    )
    found = discover(space_file(text), data, objective=ACCURACY)
    assert set(names(found)) == {"kind", "deep", "layers", "innermost", "alone"}
    assert found.space["values"] == {"kind": "a"}
    Space.from_config(found.space)


def test_what_fit_asks_for_is_found(space_file, data):
    text = (
        LIGHT
        + """
import keras_tuner

class Asks(keras_tuner.HyperModel):
    def build(self, hp):
        hp.Int("built", 1, 2)
        return model()

    def fit(self, hp, model, *args, **kwargs):
        if hp.Boolean("shuffled", default=True):
            with hp.conditional_scope("shuffled", [True]):
                hp.Choice("buffer", [8, 16])
        return model.fit(*args, batch_size=8, **kwargs)
"""
    )
    assert set(names(discover(space_file(text), data, objective=ACCURACY))) == {"built", "shuffled", "buffer"}


def test_scopes_that_cannot_be_trained_are_listed(space_file, data):
    text = (
        LIGHT
        + """
def build(hp):
    kind = hp.Choice("kind", ["good", "broken", "fine"])
    with hp.conditional_scope("kind", ["broken"]):
        hp.Int("inside", 1, 2)
        if kind == "broken":
            raise ValueError("no pixels left")
    with hp.conditional_scope("kind", ["fine"]):
        hp.Int("after", 1, 2)
    return model()
"""
    )
    found = discover(space_file(text), data, objective=ACCURACY)
    assert found.infeasible == ["build: must return a model. Received: ValueError: no pixels left."]
    assert set(names(found)) == {"kind", "inside", "after"}


@pytest.mark.parametrize(
    ("body", "metric", "message"),
    [
        ("raise ValueError('no pixels left')", "val_accuracy", "ValueError: no pixels left"),
        ("return None", "val_accuracy", "must return a Keras model. Received: NoneType"),
        ("return model()", "val_auc", "val_auc must be reported each epoch"),
    ],
)
def test_a_default_that_cannot_train_is_one_error(space_file, data, body, metric, message):
    space = space_file(f"{LIGHT}\ndef build(hp):\n    {body}\n")
    with pytest.raises(SpaceError) as caught:
        discover(space, data, objective=Objective(metric=metric, mode="max"))
    assert "space.py: its default configuration must train. Received: " in str(caught.value)
    assert message in str(caught.value)


def test_scopes_without_end_are_given_up(space_file, data, monkeypatch):
    monkeypatch.setattr("fer_ray.training.discovery._MOST_BUILDS", 4)
    text = (
        LIGHT
        + """
import itertools

COUNTER = itertools.count()

def build(hp):
    hp.Choice("kind", ["a", "b"])
    name = f"kind{next(COUNTER)}"
    hp.Choice(name, ["a", "b"])
    with hp.conditional_scope(name, ["b"]):
        hp.Int(f"{name}_inside", 1, 2)
    return model()
"""
    )
    with pytest.raises(SpaceError, match="must show all its scopes in 4 builds"):
        discover(space_file(text), data, objective=ACCURACY)


def test_a_handful_of_images_is_trained_on_whatever_the_data_set_holds(space_file, images):
    text = (
        LIGHT
        + """
import keras_tuner, numpy as np

class Counts(keras_tuner.HyperModel):
    def build(self, hp):
        return model()

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        assert len(x) == len(y) == 16, len(x)
        assert set(y) == {0, 1, 2} == set(validation_data[1])
        return model.fit(x, y, validation_data=validation_data, **kwargs)
"""
    )
    faces, labels = images(3000, 12, 3, 1)
    labels[:] = 0
    labels[-1], labels[-2] = 1, 2
    both = (faces, labels)
    discover(space_file(text), TrialData(train=both, validation=both, classes=3), objective=ACCURACY)
