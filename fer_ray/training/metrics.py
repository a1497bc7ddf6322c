"""Classification metrics that count every class alike, as Keras metrics and for NumPy predictions."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray


class _ConfusionMetric(keras.metrics.Metric):
    """Accumulates a confusion matrix over an epoch.

    Args:
        classes: Number of classes K.
        name: Of the metric in Keras's logs.
    """

    def __init__(self, classes: int, name: str, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.classes = classes
        self.confusion = self.add_weight(
            shape=(classes, classes), initializer="zeros", dtype="float32", name="confusion"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: integer labels of shape (N,) or (N, 1), scores of shape (N, K)."""
        true = ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), self.classes, dtype="float32")
        predicted = ops.one_hot(ops.argmax(y_pred, axis=-1), self.classes, dtype="float32")
        self.confusion.assign_add(ops.matmul(ops.transpose(true), predicted))

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        return {**super().get_config(), "classes": self.classes}


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


class StepScores(_ConfusionMetric):
    """Accuracy, macro-F1 and balanced accuracy of an epoch's own predictions, for models compiled without them.

    Its names carry a prefix that no user's metric has. Its results are NaN where no batch was counted.
    """

    PREFIX = "fer_ray/"

    def __init__(self, classes: int, name: str = "fer_ray_scores", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def result(self) -> Any:
        """The scores so far, by name."""
        hits, occurs = ops.diagonal(self.confusion), ops.sum(self.confusion, axis=1)
        total = ops.sum(occurs)
        f1 = ops.divide_no_nan(2 * hits, ops.sum(self.confusion, axis=0) + occurs)
        scores = {
            "accuracy": ops.divide_no_nan(ops.sum(hits), total),
            "macro_f1": _mean_where(f1, occurs > 0),
            "balanced_accuracy": _mean_where(ops.divide_no_nan(hits, occurs), occurs > 0),
        }
        return {f"{self.PREFIX}{name}": ops.where(total > 0, value, np.nan) for name, value in scores.items()}


def _mean_where(values: Any, mask: Any) -> Any:
    kept = ops.cast(mask, "float32")
    return ops.divide_no_nan(ops.sum(values * kept), ops.sum(kept))


def classification_metrics(classes: int) -> list[Any]:
    """What every shipped space compiles its models with: accuracy, macro-F1, balanced accuracy.

    Args:
        classes: Number of classes K; labels are integers 0 to K - 1.
    """
    return [
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        MacroF1(classes),
        BalancedAccuracy(classes),
    ]


def score_predictions(labels: NDArray[np.int64], scores: NDArray[np.floating]) -> dict[str, float]:
    """The same three numbers from predictions, for models that were compiled without them.

    Args:
        labels: Integers, shape (N,).
        scores: Shape (N, K); the largest of a row is the prediction.
    """
    metrics = classification_metrics(scores.shape[-1])
    for metric in metrics:
        metric.update_state(labels, scores)
    return {metric.name: float(metric.result()) for metric in metrics}
