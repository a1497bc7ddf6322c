"""Convolutional networks from scratch for small face images.

The ranges are those of published recipes for FER2013: three to five blocks, filters doubling up to 512, one or
two convolutions a block, pooling by 2 only (five poolings by 3 leave nothing of 48 pixels).

Runs under fer_ray and, unchanged, under Keras Tuner:

    keras_tuner.RandomSearch(BaselineHyperModel(classes=7, input_shape=(48, 48, 1)), objective="val_accuracy")
"""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
from keras import layers

from fer_ray.training import parts
from fer_ray.training.metrics import classification_metrics
from fer_ray.training.schedules import learning_rate_schedule

ACTIVATIONS = ["relu", "leaky_relu", "swish"]
#: Of batch normalisation's statistics. Keras's 0.99 needs hundreds of steps to follow the weights: on small data
#: sets validation would stay at chance for epochs while training succeeds, and ASHA would judge on that.
_MOMENTUM = 0.9


class BaselineHyperModel(keras_tuner.HyperModel):
    """Blocks of convolution, normalisation, activation and pooling under a small head.

    Args:
        classes: Number of classes.
        input_shape: (height, width, channels) of the uint8 images.
        filters: Choices for the first block's filters; each further block has twice as many, at most 512.
        blocks: Fewest and most blocks.
        convolutions: Fewest and most convolutions a block.
        batch_sizes: Choices for the batch size.
    """

    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int],
        filters: Sequence[int] = (32, 48, 64),
        blocks: tuple[int, int] = (3, 5),
        convolutions: tuple[int, int] = (1, 2),
        batch_sizes: Sequence[int] = (32, 64, 128),
    ) -> None:
        super().__init__()
        self.classes, self.input_shape = classes, tuple(input_shape)
        self.filters, self.blocks, self.convolutions = list(filters), blocks, convolutions
        self.batch_sizes = list(batch_sizes)

    def build(self, hp: Any) -> Any:
        """A compiled model from uint8 images to probabilities."""
        images = keras.Input(self.input_shape, dtype="uint8", name="images")
        x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(images)
        x = parts.augment(hp, x)
        x = self._features(hp, x)
        x = self._head(hp, x)
        logits = layers.Dense(self.classes)(x)
        probabilities = layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
        model = keras.Model(images, probabilities)
        model.compile(
            optimizer=parts.optimizer(hp),
            loss=parts.loss(hp),
            metrics=classification_metrics(self.classes),
        )
        return model

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        """Trains with batches straight from `x` and `y`; takes what `model.fit` takes."""
        kind = hp.Choice("schedule", ["cosine", "plateau", "constant"])
        rate = learning_rate_schedule(kind, float(model.optimizer.learning_rate), options.get("epochs", 1))
        return parts.fit(hp, model, x, y, schedule=rate, batch_sizes=self.batch_sizes, **options)

    def _features(self, hp: Any, x: Any) -> Any:
        filters = hp.Choice("filters", self.filters)
        convolutions = hp.Int("convolutions", *self.convolutions)
        kernel = hp.Choice("first_kernel", [3, 5])
        normalise = hp.Boolean("batch_norm", default=True)
        activation = hp.Choice("activation", ACTIVATIONS)
        dropout = hp.Float("conv_dropout", 0.0, 0.3, step=0.1)
        decay = hp.Choice("l2", [0.0, 1e-5, 1e-4, 1e-3])
        for block in range(hp.Int("blocks", *self.blocks, default=sum(self.blocks) // 2)):
            for _ in range(convolutions):
                x = layers.Conv2D(
                    min(filters * 2**block, 512),
                    kernel,
                    padding="same",
                    use_bias=not normalise,
                    kernel_initializer="he_normal",
                    kernel_regularizer=keras.regularizers.L2(decay) if decay else None,
                )(x)
                x = layers.BatchNormalization(momentum=_MOMENTUM)(x) if normalise else x
                x = layers.Activation(activation)(x)
                kernel = 3
            x = layers.MaxPooling2D(2)(x)
            x = layers.SpatialDropout2D(dropout)(x) if dropout else x
        return x

    def _head(self, hp: Any, x: Any) -> Any:
        pooled = hp.Choice("head", ["average", "flatten"]) == "average"
        x = layers.GlobalAveragePooling2D()(x) if pooled else layers.Flatten()(x)
        return parts.dense_head(hp, x, hp.get("activation"))
