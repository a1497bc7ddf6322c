"""How good a classifier is on one split: accuracy with its interval, F1, per-class table, confusion matrix.

Rules where a number could be read in two ways:

- The prediction is the class with the largest probability; of equal ones, the first.
- A row with a NaN or an infinity answers nothing. It counts as wrong: in `n` and in its class's recall, in no
  column of the confusion matrix. `unanswered` counts such rows, and `log_loss` is then None.
- Macro-F1 and balanced accuracy average over the classes that have labels. A class without any has no recall; it
  still takes false positives, which lower the others' recall.
- Per class, a precision is None where nothing was predicted as it, a recall where it has no labels, an F1 where
  neither is the case.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from fer_ray.errors import DataError

#: How far the probabilities of an image may sum from 1: a softmax in bfloat16 stays within.
SUM_TOLERANCE = 0.02

#: The protocol of each split's numbers where one sweep has made the model.
PROTOCOLS = {
    "validation": "Trained on the train split; this validation split chose the model, so its numbers flatter it.",
    "test": "Trained on the train split, chosen on the validation split, evaluated once on the test split.",
}


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One row of the per-class table.

    Args:
        name: The class.
        precision: Of the images predicted as this class, the share that is of it.
        recall: Of the images of this class, the share predicted as it.
        f1: Harmonic mean of both.
        support: Images of this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Metrics of one model on one split; shares are 0 to 1.

    Args:
        n: Images, at least 1.
        accuracy: Share of right predictions.
        interval: Low and high end of the accuracy's 95% Wilson interval.
        macro_f1: Mean F1 over the classes that have labels.
        balanced_accuracy: Mean recall over the classes that have labels.
        log_loss: Mean negative log of the true class's probability, in nats; None where a row answered nothing.
        unanswered: Rows that held a NaN or an infinity.
        per_class: One row per class, in class order.
        confusion: int64, shape (K, K); rows are true classes, columns predicted ones.
        protocol: How the images were chosen and used, in a sentence; empty if not told.
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    balanced_accuracy: float
    log_loss: float | None
    unanswered: int
    per_class: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]
    protocol: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of rows and columns."""
        return tuple(row.name for row in self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; `from_dict` reads them."""
        return {
            **asdict(self),
            "interval": list(self.interval),
            "per_class": [asdict(row) for row in self.per_class],
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Evaluation":
        """The evaluation that `to_dict` wrote."""
        low, high = values["interval"]
        rows = tuple(ClassScore(**row) for row in values["per_class"])
        matrix = np.asarray(values["confusion"], np.int64)
        return cls(**{**values, "interval": (low, high), "per_class": rows, "confusion": matrix})


def evaluate(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str], *, protocol: str = ""
) -> Evaluation:
    """Scores predictions against labels by the rules above.

    Args:
        labels: Integers, shape (N,), 0 to K - 1, N at least 1.
        probabilities: Shape (N, K), each row 0 to 1 and summing to 1, or holding a NaN or an infinity.
        classes: The K class names.
        protocol: How the images were chosen and used; a number without it is not printed in a model card.

    Raises:
        DataError: If shapes do not fit, a label is no class, or the rows are no probabilities.
    """
    truth, shares, names = _checked(labels, probabilities, classes)
    answered = np.asarray(np.isfinite(shares).all(axis=1))
    # -1 is no class, so that scikit-learn counts it as wrong for every class.
    predicted = predicted_classes(shares)
    indices = list(range(len(names)))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=indices, zero_division=np.nan
    )
    right, present = int((truth == predicted).sum()), support > 0
    return Evaluation(
        n=len(truth),
        accuracy=right / len(truth),
        interval=wilson_interval(right, len(truth)),
        macro_f1=float(f1[present].mean()),
        balanced_accuracy=float(recall[present].mean()),
        log_loss=_log_loss(truth, shares, indices) if answered.all() else None,
        unanswered=int((~answered).sum()),
        per_class=tuple(
            ClassScore(name=name, precision=_number(p), recall=_number(r), f1=_number(f), support=int(s))
            for name, p, r, f, s in zip(names, precision, recall, f1, support, strict=True)
        ),
        confusion=confusion_matrix(truth, predicted, labels=indices).astype(np.int64),
        protocol=protocol,
    )


def predicted_classes(probabilities: ArrayLike) -> NDArray[np.int64]:
    """The class of each row by the rules above; -1 where it answers nothing.

    Args:
        probabilities: Shape (N, K).
    """
    shares = np.asarray(probabilities, np.float64)
    answered = np.asarray(np.isfinite(shares).all(axis=1))
    return np.where(answered, np.where(answered[:, None], shares, 0.0).argmax(axis=1), -1).astype(np.int64)


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """The 95% Wilson score interval of a share of `right` in `n`, without continuity correction."""
    found = binomtest(right, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(found.low), float(found.high)


def _checked(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    truth, names = np.asarray(labels), list(classes)
    shares = np.asarray(probabilities, np.float64)
    if truth.ndim != 1 or not len(truth) or not np.issubdtype(truth.dtype, np.integer):
        received = f"{truth.dtype} of shape {truth.shape}"
        raise DataError("labels", "must be integers of shape (N,), N at least 1", received)
    if shares.shape != (len(truth), len(names)):
        raise DataError("probabilities", f"must have shape ({len(truth)}, {len(names)})", str(shares.shape))
    if truth.min() < 0 or truth.max() >= len(names):
        received = f"{truth.min()} to {truth.max()}"
        raise DataError("labels", f"must be 0 to {len(names) - 1}, one for each class", received)
    _require_probabilities(shares[np.isfinite(shares).all(axis=1)])
    return truth.astype(np.int64), shares, names


def _require_probabilities(answers: NDArray[np.float64]) -> None:
    sums = answers.sum(axis=1)
    if len(answers) and (answers.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE):
        received = f"a smallest value of {answers.min():.4g}, sums of {sums.min():.4g} to {sums.max():.4g}"
        rule = "must not be negative and must sum to 1 in each row"
        raise DataError("probabilities", rule, received, "Logits need a softmax")


def _log_loss(truth: NDArray[np.int64], shares: NDArray[np.float64], indices: list[int]) -> float:
    if len(indices) == 1:
        return 0.0  # scikit-learn wants two classes; the only class has probability 1
    return float(log_loss(truth, shares / shares.sum(axis=1, keepdims=True), labels=indices))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
