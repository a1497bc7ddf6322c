"""Losses that Keras lacks for integer labels."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("fer_ray")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy against integer labels with label smoothing.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.

    Args:
        smoothing: Share of the target spread evenly over all classes, 0 to below 1.
    """

    def __init__(self, smoothing: float = 0.0, name: str = "smoothed_crossentropy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss per image, shape (N,): integer labels (N,) or (N, 1), probabilities (N, K)."""
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        targets = ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
        return keras.losses.categorical_crossentropy(targets, y_pred, label_smoothing=self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        return {**super().get_config(), "smoothing": self.smoothing}
