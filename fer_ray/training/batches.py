"""Batches straight from read-only arrays: no copy of the data set in the training process."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class Batches(keras.utils.PyDataset):
    """Slices batches from arrays that may be views of shared memory.

    The order and mixture of an epoch depend on (seed, epoch) alone, so that training resumed at any epoch sees
    the images that it would have seen. Keras would copy the whole array into each process.

    Args:
        images: uint8, shape (N, H, W, C).
        labels: Integers, shape (N,).
        batch_size: Images a batch. With `shuffle`, the rest that fills no batch is left out of an epoch:
            batch normalisation is unstable on a few images.
        shuffle: Whether each epoch has an order of its own.
        seed: Of the order and the mixture.
        mixup: Alpha of the beta distribution from which each batch's share of a second image is drawn; 0 mixes
            nothing. Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". Labels then are
            float32 distributions, shape (batch, K).
        classes: K; needed for `mixup`.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.integer],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        mixup: float = 0.0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.mixup, self.classes = mixup, classes
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets the order of the epoch that comes next, counted from 0."""
        self.epoch = epoch
        n = len(self.images)
        self.order = (
            np.random.default_rng((self.seed, epoch)).permutation(n) if self.shuffle else np.arange(n)
        )

    def __len__(self) -> int:
        whole, rest = divmod(len(self.images), self.batch_size)
        return max(whole, 1) if self.shuffle else whole + (rest > 0)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        start = index * self.batch_size
        if not self.shuffle:
            return self.images[start : start + self.batch_size], self.labels[start : start + self.batch_size]
        chosen = self.order[start : start + self.batch_size]
        images, labels = self.images[chosen], self.labels[chosen]
        return self._mix(images, labels, index) if self.mixup else (images, labels)

    def _mix(
        self, images: NDArray[np.uint8], labels: NDArray[np.integer], index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Adds to each image a share of another of its batch, and as much of its label."""
        share = np.random.default_rng((self.seed, self.epoch, index)).beta(self.mixup, self.mixup)
        targets = np.eye(self.classes, dtype=np.float32)[labels]
        mixed = images + share * (np.roll(images, 1, axis=0).astype(np.float32) - images)
        targets += np.float32(share) * (np.roll(targets, 1, axis=0) - targets)
        return mixed.round().astype(np.uint8), targets


class _EpochOrder(keras.callbacks.Callback):
    """Tells the batches which epoch begins, also when training starts in the middle."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.start_epoch(epoch)


def class_weights(labels: NDArray[np.integer], kind: str) -> dict[int, float] | None:
    """Weights that lift rare classes, with a mean of 1 over the images.

    Args:
        labels: Integers, shape (N,).
        kind: ``none``; ``balanced``, inverse to a class's count; ``sqrt``, inverse to its square root.
    """
    if kind == "none":
        return None
    counts = np.bincount(labels)
    power = {"balanced": 1.0, "sqrt": 0.5}[kind]
    raw = np.where(counts > 0, np.maximum(counts, 1.0) ** -power, 0.0)
    scaled = raw * counts.sum() / (raw * counts).sum()
    return {label: float(weight) for label, weight in enumerate(scaled)}


def fit_batches(
    model: Any,
    x: NDArray[np.uint8],
    y: NDArray[np.integer],
    *,
    validation_data: tuple[NDArray[np.uint8], NDArray[np.integer]],
    batch_size: int,
    seed: int,
    callbacks: list[Any] | None = None,
    class_weight: dict[int, float] | None = None,
    mixup: float = 0.0,
    **options: Any,
) -> Any:
    """`model.fit` over `Batches`, as the shipped spaces call it from `HyperModel.fit`.

    Args:
        model: A compiled Keras model that takes uint8 images.
        x, y: Images (N, H, W, C), uint8, and integer labels (N,).
        validation_data: The same two.
        batch_size: Of training; validation goes in batches of 256.
        seed: Of the order of training images.
        callbacks: As Keras takes them.
        class_weight: Factor of the loss by class.
        mixup: As in `Batches`; the model's loss and metrics must take distributions.
        **options: `epochs`, `initial_epoch`, `verbose` and the like, for `model.fit`.
    """
    train = Batches(
        x, y, batch_size, shuffle=True, seed=seed, mixup=mixup, classes=model.output_shape[-1] if mixup else 0
    )
    held_out = Batches(*validation_data, 256)
    order = _EpochOrder(train)
    return model.fit(
        train,
        validation_data=held_out,
        callbacks=[order, *(callbacks or [])],
        class_weight=class_weight,
        **options,
    )
