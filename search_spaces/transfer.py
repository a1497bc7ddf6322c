"""Transfer learning: a backbone trained on ImageNet, a new head, then the backbone's last blocks.

The head trains first, the backbone frozen; then its last blocks train too, at a rate of their own. Small images
are enlarged inside the model: at 48 pixels a backbone made for 224 sees next to nothing.

Runs under fer_ray and, unchanged, under Keras Tuner. For the weights see `weights` below; they are downloaded at
first use where Keras offers them.
"""

import random
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
from keras import layers

from fer_ray.training import parts
from fer_ray.training.backbones import BACKBONES, load_backbone, unfreeze
from fer_ray.training.metrics import classification_metrics
from fer_ray.training.schedules import learning_rate_schedule


class TransferHyperModel(keras_tuner.HyperModel):
    """A backbone, pooling and a small head, trained in two phases.

    Args:
        classes: Number of classes.
        input_shape: (height, width, channels) of the uint8 images; one channel is repeated three times.
        backbones: Choices among mobilenet_v2, mobilenet_v3_small and squeezenet.
        weights: ``imagenet``, ``none``, or the path of a Keras weight file without its top; or one of these by
            backbone.
        input_sizes: Choices for the side, in pixels, that images are enlarged to.
        batch_sizes: Choices for the batch size.
    """

    def __init__(
        self,
        classes: int,
        input_shape: tuple[int, int, int],
        backbones: Sequence[str] = ("mobilenet_v2", "mobilenet_v3_small"),
        weights: str | dict[str, str] = "imagenet",
        input_sizes: Sequence[int] = (64, 96, 128),
        batch_sizes: Sequence[int] = (32, 64, 128),
    ) -> None:
        super().__init__()
        unknown = sorted(set(backbones) - set(BACKBONES))
        if unknown or not backbones:
            raise ValueError(f"backbones must be among {', '.join(BACKBONES)}. Received: {list(backbones)}")
        self.classes, self.input_shape = classes, tuple(input_shape)
        self.backbones, self.weights = list(backbones), weights
        self.input_sizes, self.batch_sizes = list(input_sizes), list(batch_sizes)

    def build(self, hp: Any) -> Any:
        """A compiled model from uint8 images to probabilities, its backbone frozen."""
        images = keras.Input(self.input_shape, dtype="uint8", name="images")
        # Centred and scaled back around augmentation, which changes the brightness about zero.
        x = layers.Rescaling(1.0, offset=-127.5, dtype="float32")(images)
        x = layers.Rescaling(1.0, offset=127.5, dtype="float32")(parts.augment(hp, x))
        x = layers.Concatenate()([x, x, x]) if self.input_shape[-1] == 1 else x
        x = self._features(hp, x)
        pooling = hp.Choice("pooling", ["average", "max"])
        x = layers.GlobalAveragePooling2D()(x) if pooling == "average" else layers.GlobalMaxPooling2D()(x)
        x = parts.dense_head(hp, x, "relu")
        x = layers.Dense(self.classes)(x)
        model = keras.Model(images, layers.Activation("softmax", dtype="float32", name="probabilities")(x))
        self._compile(hp, model, parts.optimizer(hp))
        return model

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        """Trains the head, then head and last blocks; which of the two hangs on the epoch's number."""
        epochs, start = options.pop("epochs", 1), options.pop("initial_epoch", 0)
        blocks = hp.Choice("trainable_blocks", ["1", "0", "2", "3", "all"])
        with hp.conditional_scope("trainable_blocks", ["1", "2", "3", "all"]):
            head_epochs = hp.Int("head_epochs", 1, 5)
            fine_rate = hp.Float("fine_learning_rate", 1e-5, 3e-4, sampling="log", default=1e-4)
        head_end = epochs if blocks == "0" else min(head_epochs, epochs)
        schedule = hp.Choice("schedule", ["cosine", "plateau", "constant"])
        # Drawn once for both phases, so that a trial resumed in the second draws the same.
        common = {"seed": random.randrange(2**31), "batch_sizes": self.batch_sizes, **options}
        history = None
        if start < head_end:
            rate = learning_rate_schedule(schedule, float(model.optimizer.learning_rate), head_end)
            history = parts.fit(
                hp, model, x, y, schedule=rate, epochs=head_end, initial_epoch=start, **common
            )
        if head_end < epochs:
            self._unfreeze(hp, model, blocks, fine_rate)
            rate = learning_rate_schedule(schedule, fine_rate, epochs)
            start = max(start, head_end)
            history = parts.fit(hp, model, x, y, schedule=rate, epochs=epochs, initial_epoch=start, **common)
        return history

    def _features(self, hp: Any, x: Any) -> Any:
        name, size = hp.Choice("backbone", self.backbones), hp.Choice("input_size", self.input_sizes)
        weights = self.weights if isinstance(self.weights, str) else self.weights[name]
        backbone = load_backbone(name, (size, size, 3), weights)
        backbone.trainable = False
        x = BACKBONES[name].preprocess(layers.Resizing(size, size)(x))
        # training=False keeps batch normalisation at its ImageNet statistics in both phases.
        return backbone(x, training=False)

    def _unfreeze(self, hp: Any, model: Any, blocks: str, rate: float) -> None:
        name = hp.get("backbone")
        backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
        backbone.trainable = True
        unfreeze(backbone, name, blocks)
        self._compile(hp, model, keras.optimizers.Adam(rate))

    def _compile(self, hp: Any, model: Any, optimizer: Any) -> None:
        metrics = classification_metrics(self.classes)
        model.compile(optimizer=optimizer, loss=parts.loss(hp), metrics=metrics)
