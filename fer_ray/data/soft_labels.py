"""Soft labels: each image's shares of the classes, as an array."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_ray.data.duplicates import Integers
from fer_ray.data.labels import class_key
from fer_ray.data.sources import SoftLabel

Shares = NDArray[np.float32]


def to_array(soft_labels: Sequence[SoftLabel | None], labels: Integers, classes: Sequence[str]) -> Shares:
    """Lays soft labels out by class.

    Args:
        soft_labels: N of them; an image without one gets all of its label.
        labels: Positions in `classes`, shape (N,).
        classes: K names. Shares of other classes are left out, and the rest brought to a sum of 1.

    Returns:
        float32, shape (N, K); each row sums to 1.
    """
    shares = np.zeros((len(labels), len(classes)), np.float64)
    columns = {class_key(name): column for column, name in enumerate(classes)}
    for row, soft_label in enumerate(soft_labels):
        for name, share in (soft_label or {}).items():
            if class_key(name) in columns:
                shares[row, columns[class_key(name)]] += share
    without = np.flatnonzero(shares.sum(axis=1) <= 0)
    shares[without, labels[without]] = 1
    sums = shares.sum(axis=1, keepdims=True)
    # What was read from float32 sums to 1 but for its rounding, and stays as it is.
    rounded = np.abs(sums - 1) < 1e-6
    return (shares / np.where(rounded, 1, sums)).astype(np.float32)
