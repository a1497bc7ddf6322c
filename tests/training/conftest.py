"""Small images to train on, and a space file from a few lines."""

import textwrap

import numpy as np
import pytest


def make_images(n, side, classes, seed, channels=1):
    """Noise with a bright band whose height tells the class; uint8 (n, side, side, channels), labels (n,)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = generator.integers(0, 160, (n, side, side, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label * side // classes : (label + 1) * side // classes] += 90
    return images, labels.astype(np.int64)


@pytest.fixture(scope="session")
def images():
    return make_images


@pytest.fixture(scope="session")
def data_of():
    """Three classes of images of a given side."""
    from fer_ray.training.trial import TrialData

    def make(side):
        return TrialData(train=make_images(24, side, 3, 1), validation=make_images(12, side, 3, 2), classes=3)

    return make


@pytest.fixture(scope="session")
def data(data_of):
    return data_of(12)


@pytest.fixture
def space_file(tmp_path):
    """Writes a user's Python file and names it."""
    from fer_ray.training.space_file import SpaceFile

    def write(text, name="space.py", **options):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return SpaceFile(path=path, **options)

    return write


#: A user's `build(hp)`, as Keras Tuner's guide writes one.
PLAIN_BUILD = """
import keras

def build(hp):
    model = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 4, 12, step=4), activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture
def plain_build(space_file):
    return space_file(PLAIN_BUILD)


@pytest.fixture
def trial_config(space_file):
    """A `TrialConfig` for a space's text, or for a `SpaceFile`."""
    from fer_ray.objective import Objective
    from fer_ray.training.trial import TrialConfig

    def make(space, max_epochs=2, metric="val_accuracy", mode="max", values=None, **options):
        return TrialConfig(
            space_file=space_file(space) if isinstance(space, str) else space,
            space={"space": []},
            values=values or {},
            objective=Objective(metric=metric, mode=mode),
            max_epochs=max_epochs,
            **options,
        )

    return make
