"""Drawn images that a small network learns, and Keras models with the layers that our spaces use."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

CLASSES = 3


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stripes of three directions in noise: uint8 (n, 16, 16, 1) and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, n)
    rows, columns = np.mgrid[0:16, 0:16]
    phase = generator.uniform(0, 2 * np.pi, (n, 1, 1))
    along = np.stack([rows, columns, (rows + columns) / np.sqrt(2)])[labels]
    images = 128 + 60 * np.sin(along * 1.6 + phase) + generator.normal(0, 45, (n, 16, 16))
    return images.clip(0, 255).astype(np.uint8)[..., None], labels


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras, imported once; its TensorFlow kernels on one thread as in a trial."""
    import keras

    return keras


@pytest.fixture(scope="session")
def build(keras: Any) -> Callable[..., Any]:
    """A model by kind, untrained."""
    layers = keras.layers

    @keras.saving.register_keras_serializable(package="fer_ray_tests")
    class Brighten(layers.Layer):
        """An augmentation: random in training, nothing at inference."""

        def call(self, images: Any, training: bool | None = None) -> Any:
            if not training:
                return images
            return images + keras.random.uniform((keras.ops.shape(images)[0], 1, 1, 1), -0.1, 0.1)

    def plain(x: Any) -> Any:
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
        x = Brighten()(x)
        for filters in (8, 16):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.8)(x)
            x = layers.Activation("swish" if filters == 8 else "relu")(x)
            x = layers.MaxPooling2D()(x)
        x = layers.SpatialDropout2D(0.1)(x)
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(16, activation="leaky_relu")(x)

    def mobile(x: Any) -> Any:
        """A nested backbone of inverted residuals behind resizing and grey to three channels."""
        x = layers.Resizing(24, 24)(x)
        x = layers.Concatenate()([x, x, x])
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
        features = keras.Input((24, 24, 3))
        y = layers.ZeroPadding2D(((0, 1), (0, 1)))(features)
        y = layers.Conv2D(8, 3, strides=2, use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(y))
        z = layers.Conv2D(16, 1, use_bias=False)(y)
        z = layers.Activation("hard_swish")(layers.BatchNormalization(momentum=0.8)(z))
        z = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(z)
        z = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(z))
        squeeze = layers.GlobalAveragePooling2D(keepdims=True)(z)
        z = layers.Multiply()([z, layers.Conv2D(16, 1, activation="hard_sigmoid")(squeeze)])
        z = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(8, 1, use_bias=False)(z))
        backbone = keras.Model(features, layers.Add()([y, z]), name="backbone")
        return layers.Flatten()(layers.AveragePooling2D(3)(backbone(x)))

    def make(kind: str, dtype: str = "uint8", softmax: bool = True) -> Any:
        keras.utils.set_random_seed(3)
        images = keras.Input((16, 16, 1), dtype=dtype)
        x = {"plain": plain, "mobile": mobile}[kind](images)
        logits = layers.Dense(CLASSES)(layers.Dropout(0.2)(x))
        return keras.Model(
            images, layers.Activation("softmax", dtype="float32")(logits) if softmax else logits
        )

    return make


@pytest.fixture(scope="session")
def trained(build: Callable[..., Any]) -> Callable[[str], Any]:
    """The same models after some epochs, made once each."""
    made: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in made:
            model = build(kind)
            model.compile("adam", "sparse_categorical_crossentropy")
            model.optimizer.learning_rate = 0.01
            model.fit(*draw(1500, seed=1), batch_size=50, epochs=4, verbose=0)
            made[kind] = model
        return made[kind]

    return get


@pytest.fixture(scope="session")
def drawn() -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    return draw
