"""Whether an ONNX twin answers as its Keras model does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_ray.errors import ExportError
from fer_ray.export.onnx_model import OnnxModel, Pixels, Probabilities, predict_all
from fer_ray.progress import Progress, no_progress

if TYPE_CHECKING:
    import keras

#: The largest difference of a probability that is still the same model. On CPUs the shipped spaces stay below 1e-5;
#: the room is for a Keras that multiplies in TF32 on a GPU. Wrong preprocessing exceeds 1e-2.
MAX_DIFFERENCE = 2e-3
#: The smallest share of images with the same answer; near-ties may fall either way.
MIN_SAME_ANSWER = 0.99
#: How far the probabilities of an image may sum from 1.
MAX_SUM_ERROR = 1e-3


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far two engines' answers to the same images lie apart.

    Args:
        images: Images compared.
        max_difference: Largest absolute difference of a probability.
        same_answer: Share of images whose most probable class is the same, 0 to 1.
    """

    images: int
    max_difference: float
    same_answer: float


def check_parity(
    model: "keras.Model", twin: OnnxModel, images: Pixels, progress: Progress = no_progress
) -> Parity:
    """Compares a Keras model and its twin on real images.

    Args:
        model: Gives probabilities, shape (N, K).
        twin: Its ONNX file, opened.
        images: uint8, shape (N, H, W, C), N at least 1.
        progress: Told how many images the twin has answered.

    Raises:
        ExportError: If a probability differs by more than `MAX_DIFFERENCE`, fewer than `MIN_SAME_ANSWER` of the
            answers are the same, or the twin's rows do not sum to 1 (the model gives logits).
    """
    expected = np.asarray(model.predict(images, batch_size=64, verbose=0), np.float32)
    answered = predict_all(twin, images, progress=progress, stage="comparing with Keras (images)")
    return compare(expected, answered, where=str(twin.path))


def compare(expected: Probabilities, answered: Probabilities, where: str) -> Parity:
    """The rule of `check_parity` on two arrays of shape (N, K)."""
    worst_sum = float(np.abs(answered.sum(axis=1) - 1).max())
    if not worst_sum <= MAX_SUM_ERROR or answered.min() < 0:  # "not <=" catches NaN
        rule = "the model must give probabilities that sum to 1"
        raise ExportError(where, rule, f"sums up to {worst_sum:.3g} off", "Add a softmax as its last layer")
    parity = Parity(
        images=len(expected),
        max_difference=float(np.abs(expected - answered).max()),
        same_answer=float((expected.argmax(axis=1) == answered.argmax(axis=1)).mean()),
    )
    if not parity.max_difference <= MAX_DIFFERENCE or parity.same_answer < MIN_SAME_ANSWER:
        rule = (
            f"must answer as the Keras model: at most {MAX_DIFFERENCE} apart, "
            f"at least {MIN_SAME_ANSWER:.0%} of the answers the same"
        )
        received = f"{parity.max_difference:.3g} apart, {parity.same_answer:.1%} of {parity.images} the same"
        raise ExportError(where, rule, received)
    return parity
