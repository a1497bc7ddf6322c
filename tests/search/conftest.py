"""A small data set, small spaces, and one Ray cluster for the sweeps of a file."""

from pathlib import Path

import pytest

from fer_ray.data.synthetic import write_synthetic

# A Keras Tuner file that knows nothing of fer_ray.
PLAIN_SPACE = """
import keras


def build(hp):
    model = keras.Sequential([
        keras.layers.Flatten(),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Dense(hp.Int("units", 4, 64, step=4), activation="relu"),
        keras.layers.Dense(7, activation="softmax"),
    ])
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.0, 0.9)
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    optimizer = keras.optimizers.Adam(rate) if kind == "adam" else keras.optimizers.SGD(rate, momentum)
    model.build((None, 16, 16, 1))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "data"
    write_synthetic(path, images=400, size=16)
    return path


@pytest.fixture(scope="module")
def ray_cluster():
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def plain_space(tmp_path: Path) -> Path:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN_SPACE)
    return path
