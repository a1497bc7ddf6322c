"""What the shipped spaces have in common: augmentation, head, optimizer, loss, fit.

Each takes Keras Tuner's `HyperParameters` and asks for its hyperparameters there.
"""

import random
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from fer_ray.training.augment import AugmentFaces
from fer_ray.training.batches import class_weights, fit_batches
from fer_ray.training.losses import SmoothedCrossentropy


def augment(hp: Any, x: Any) -> Any:
    """Augmentation whose strength is searched, or none.

    Args:
        hp: Keras Tuner's `HyperParameters`.
        x: float32 images, shape (N, H, W, C), centred on zero.
    """
    if not hp.Boolean("augment", default=True):
        return x
    with hp.conditional_scope("augment", [True]):
        return AugmentFaces(
            rotation=hp.Float("rotation", 5.0, 20.0, default=10.0),
            shift=hp.Float("shift", 0.05, 0.2, default=0.1),
            zoom=hp.Float("zoom", 0.05, 0.15, default=0.1),
            brightness=hp.Float("brightness", 0.0, 0.2, default=0.1),
            erase=hp.Float("erase", 0.0, 0.5, step=0.1),
            dtype="float32",
        )(x)


def dense_head(hp: Any, x: Any, activation: str) -> Any:
    """At most one dense layer, and dropout, on features of shape (N, F)."""
    units = hp.Int("dense_units", 0, 512, step=128, default=128)
    if units:
        x = layers.Dense(units, activation=activation)(x)
    return layers.Dropout(hp.Float("head_dropout", 0.2, 0.6, step=0.1))(x)


def optimizer(hp: Any) -> Any:
    """Adam, AdamW or SGD with Nesterov momentum, each with hyperparameters of its own."""
    name = hp.Choice("optimizer", ["adam", "adamw", "sgd"])
    with hp.conditional_scope("optimizer", ["adam", "adamw"]):
        rate = hp.Float("learning_rate", 1e-4, 3e-3, sampling="log", default=1e-3)
    with hp.conditional_scope("optimizer", ["adamw"]):
        weight_decay = hp.Float("weight_decay", 1e-5, 1e-2, sampling="log", default=1e-4)
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd_rate = hp.Float("sgd_learning_rate", 1e-3, 1e-1, sampling="log", default=1e-2)
        momentum = hp.Float("momentum", 0.8, 0.95, step=0.05, default=0.9)
    if name == "adam":
        return keras.optimizers.Adam(rate)
    if name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=weight_decay)
    return keras.optimizers.SGD(sgd_rate, momentum=momentum, nesterov=True)


def loss(hp: Any) -> Any:
    """Cross-entropy with label smoothing."""
    return SmoothedCrossentropy(hp.Float("label_smoothing", 0.0, 0.15, step=0.05))


def fit(
    hp: Any,
    model: Any,
    x: Any,
    y: Any,
    *,
    schedule: Any,
    batch_sizes: Sequence[int],
    callbacks: Sequence[Any] = (),
    seed: int | None = None,
    **options: Any,
) -> Any:
    """`model.fit` with searched batch size, class weights and mixup, straight from `x` and `y`.

    Args:
        hp: Keras Tuner's `HyperParameters`.
        model: A compiled Keras model.
        x: Images, uint8, shape (N, H, W, C).
        y: Integer labels, shape (N,).
        schedule: A callback for the learning rate.
        batch_sizes: Choices for the batch size; the middle one is the default.
        callbacks: The caller's.
        seed: Of the order of images; drawn from Python's generator if None.
        **options: What else `model.fit` takes; `validation_data` has to be there.
    """
    default = batch_sizes[len(batch_sizes) // 2]
    return fit_batches(
        model,
        x,
        y,
        batch_size=hp.Choice("batch_size", list(batch_sizes), default=default),
        mixup=hp.Choice("mixup", [0.0, 0.2, 0.4]),
        class_weight=class_weights(y, hp.Choice("class_weight", ["none", "sqrt", "balanced"])),
        callbacks=[*callbacks, schedule],
        seed=random.randrange(2**31) if seed is None else seed,
        **options,
    )
