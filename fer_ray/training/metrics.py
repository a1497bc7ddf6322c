"""Classification metrics that count every class alike, as Keras metrics and for NumPy predictions."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from fer_ray.training.losses import is_distribution


class _ConfusionMetric(keras.metrics.Metric):
    """Accumulates a confusion matrix over an epoch.

    Args:
        classes: Number of classes K.
        name: Of the metric in Keras's logs.
    """

    def __init__(self, classes: int, name: str, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._direction = "up"  # What Keras's EarlyStopping and the like ask of a metric.
        self.classes = classes
        self.confusion = self.add_weight(
            shape=(classes, classes), initializer="zeros", dtype="float32", name="confusion"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: integer labels (N,) or (N, 1), or targets (N, K) by their largest; scores (N, K)."""
        true = ops.argmax(y_true, axis=-1) if is_distribution(y_true, self.classes) else y_true
        true = ops.reshape(ops.cast(true, "int32"), (-1,))
        cells = true * self.classes + ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        counts = ops.sum(ops.one_hot(cells, self.classes**2, dtype="float32"), axis=0)
        self.confusion.assign_add(ops.reshape(counts, (self.classes, self.classes)))

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable("fer_ray")
class Accuracy(_ConfusionMetric):
    """Share of predictions that are right."""

    def __init__(self, classes: int, name: str = "accuracy", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def result(self) -> Any:
        """The score so far, 0 to 1."""
        return ops.divide_no_nan(ops.sum(ops.diagonal(self.confusion)), ops.sum(self.confusion))


@keras.saving.register_keras_serializable("fer_ray")
class MacroF1(_ConfusionMetric):
    """F1 averaged over the classes that have labels; others still take false positives."""

    def __init__(self, classes: int, name: str = "macro_f1", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def result(self) -> Any:
        """The score so far, 0 to 1."""
        hits, occurs = ops.diagonal(self.confusion), ops.sum(self.confusion, axis=1)
        scores = ops.divide_no_nan(2 * hits, ops.sum(self.confusion, axis=0) + occurs)
        return _mean_where(scores, occurs > 0)


@keras.saving.register_keras_serializable("fer_ray")
class BalancedAccuracy(_ConfusionMetric):
    """Recall averaged over the classes that occur, as `sklearn.metrics.balanced_accuracy_score`."""

    def __init__(self, classes: int, name: str = "balanced_accuracy", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def result(self) -> Any:
        """The score so far, 0 to 1."""
        occurs = ops.sum(self.confusion, axis=1)
        return _mean_where(ops.divide_no_nan(ops.diagonal(self.confusion), occurs), occurs > 0)


class StepConfusion(_ConfusionMetric):
    """An epoch's confusion matrix for models compiled without these scores.

    It adds nothing to Keras's logs, so that no step computes what only the epoch's end needs.
    """

    def __init__(self, classes: int, name: str = "fer_ray_confusion", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def result(self) -> Any:
        """Nothing; see `scores`."""
        return {}

    def scores(self) -> dict[str, float]:
        """Accuracy, macro-F1 and balanced accuracy so far; none where no batch was counted."""
        confusion = ops.convert_to_numpy(self.confusion)
        return confusion_scores(confusion) if confusion.any() else {}


def _mean_where(values: Any, mask: Any) -> Any:
    kept = ops.cast(mask, "float32")
    return ops.divide_no_nan(ops.sum(values * kept), ops.sum(kept))


def classification_metrics(classes: int) -> list[Any]:
    """What every shipped space compiles its models with: accuracy, macro-F1, balanced accuracy.

    Args:
        classes: Number of classes K; labels are integers 0 to K - 1.
    """
    return [
        Accuracy(classes),
        MacroF1(classes),
        BalancedAccuracy(classes),
    ]


def score_predictions(labels: NDArray[np.int64], scores: NDArray[np.floating]) -> dict[str, float]:
    """The same three numbers from predictions, for models that were compiled without them.

    Args:
        labels: Integers, shape (N,).
        scores: Shape (N, K); the largest of a row is the prediction.
    """
    classes = scores.shape[-1]
    cells = np.bincount(labels * classes + scores.argmax(axis=-1), minlength=classes**2)
    return confusion_scores(cells.reshape(classes, classes))


def confusion_scores(confusion: NDArray[Any]) -> dict[str, float]:
    """The same three numbers from a confusion matrix.

    Args:
        confusion: Counts, shape (K, K); rows are labels, columns predictions.
    """
    confusion = confusion.astype(np.float64)
    hits, occurs, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    there = occurs > 0
    if not there.any():
        return dict.fromkeys(("accuracy", "macro_f1", "balanced_accuracy"), 0.0)
    return {
        "accuracy": float(hits.sum() / occurs.sum()),
        "macro_f1": float((2 * hits[there] / (predicted + occurs)[there]).mean()),
        "balanced_accuracy": float((hits[there] / occurs[there]).mean()),
    }
