"""Losses that Keras lacks for integer labels."""

from typing import Any

import keras
from keras import ops


def is_distribution(y_true: Any, classes: int) -> bool:
    """Whether targets are shares of the classes, shape (N, K), and not integers, (N,) or (N, 1)."""
    return len(y_true.shape) == 2 and y_true.shape[-1] == classes and classes > 1


@keras.saving.register_keras_serializable("fer_ray")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy with label smoothing, against integer labels or distributions over the classes.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.

    Args:
        smoothing: Share of the target spread evenly over all classes, 0 to below 1.
    """

    def __init__(self, smoothing: float = 0.0, name: str = "smoothed_crossentropy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss per image, shape (N,): integer labels (N,) or (N, 1) or targets (N, K), probabilities (N, K)."""
        classes = y_pred.shape[-1]
        if is_distribution(y_true, classes):
            targets = ops.cast(y_true, y_pred.dtype)
        else:
            labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
            targets = ops.one_hot(labels, classes, dtype=y_pred.dtype)
        return keras.losses.categorical_crossentropy(targets, y_pred, label_smoothing=self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        return {**super().get_config(), "smoothing": self.smoothing}
