"""The real Keras Tuner, as the oracle; importing it imports TensorFlow."""

import pytest


@pytest.fixture(scope="session")
def keras_tuner():
    import keras_tuner

    return keras_tuner
