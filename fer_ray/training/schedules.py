"""Learning rates: by the epoch's number alone, or lowered where validation stops to improve."""

import math
from typing import Any

import keras

_WARM_UP_EPOCHS = 1


def learning_rate_schedule(kind: str, peak: float, epochs: int) -> Any:
    """A callback that sets the learning rate.

    Source of the cosine: Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts; here it ends at 1% of
    the peak rather than at zero, and a first epoch at half of the peak warms up.

    Args:
        kind: ``cosine``, ``constant``, or ``plateau``, which halves the rate after two epochs without a smaller
            validation loss.
        peak: The largest learning rate.
        epochs: Over which the cosine falls.
    """
    if kind == "plateau":
        return keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2)

    def rate(epoch: int, _: float = 0.0) -> float:
        if kind == "constant":
            return peak
        if epoch < _WARM_UP_EPOCHS and epochs > _WARM_UP_EPOCHS:
            return peak / 2
        share = (epoch - _WARM_UP_EPOCHS) / max(epochs - _WARM_UP_EPOCHS, 1)
        return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2)

    return keras.callbacks.LearningRateScheduler(rate)
