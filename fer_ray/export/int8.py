"""An int8 twin of a float32 ONNX model, and the rule by which it may be shipped."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from scipy.stats import binomtest

from fer_ray.export.onnx_model import Pixels, Probabilities
from fer_ray.progress import Progress, no_progress

#: The most that accuracy on validation images may fall, as a share of the images: half a point.
MAX_DROP = 0.005
#: The paired test must not find the fall real at this level.
SIGNIFICANCE = 0.05
#: Fewer validation images than this prove nothing.
MIN_IMAGES = 200

#: What ONNX Runtime has int8 kernels for on a CPU. Softmax stays in float32: its int8 form has steps of 1/256,
#: which no longer sum to 1.
_INT8_OPERATORS = [
    "Conv", "MatMul", "Gemm", "Add", "Mul", "Concat", "Pad", "Reshape", "Transpose", "ReduceMean",
    "MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Sigmoid", "HardSigmoid",
]  # fmt: skip
_CALIBRATION_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Int8Verdict:
    """Whether the int8 twin is as good as the float32 one, and on what evidence.

    Args:
        accepted: Whether it may be shipped.
        reason: Why or why not, in a sentence.
        images: Validation images compared.
        float32_accuracy: Share of them that float32 gets right; None where no comparison was possible.
        int8_accuracy: Share that int8 gets right.
        lost: Images that only float32 gets right.
        gained: Images that only int8 gets right.
        p_value: Of the one-sided exact McNemar test: how likely as many losses among the images that differ are
            if neither engine is better.
    """

    accepted: bool
    reason: str
    images: int
    float32_accuracy: float | None = None
    int8_accuracy: float | None = None
    lost: int = 0
    gained: int = 0
    p_value: float | None = None


def quantise(source: Path, target: Path, images: Pixels, progress: Progress = no_progress) -> None:
    """Writes an int8 twin by static quantisation: QDQ, per channel, uint8 activations, 7-bit weights.

    Seven bits, because processors without VNNI add two products of 8 bits in 16 bits and saturate: a verdict
    reached on a new machine would not hold on an older one.

    Args:
        source: The float32 `.onnx` file with the input ``images``.
        target: The `.onnx` file to write.
        images: Calibration images, uint8 (N, H, W, C), of the train split; their ranges fix the scales.
        progress: Told how many images have been calibrated with.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Folds batch normalisation into convolutions; symbolic shapes are for transformers and need sympy.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        quantize_static(
            prepared,
            target,
            _CalibrationImages(graph.input[0].name, images, progress),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=_INT8_OPERATORS,
            calibrate_method=CalibrationMethod.MinMax,
        )


def judge(float32: Probabilities, int8: Probabilities, labels: NDArray[np.int64]) -> Int8Verdict:
    """The rule: accuracy falls by at most half a point, and not by more than chance explains.

    Accepted where all of these hold on the validation images: there are at least `MIN_IMAGES`; every answer is
    finite; accuracy falls by at most `MAX_DROP`; and of the images on which exactly one engine is right, int8
    does not lose significantly many (one-sided exact McNemar test at `SIGNIFICANCE`).

    Args:
        float32: The float32 twin's probabilities, shape (N, K).
        int8: The int8 twin's, same shape.
        labels: int64, shape (N,).
    """
    n = len(labels)
    if n < MIN_IMAGES:
        return rejected(f"{n} validation images are fewer than the {MIN_IMAGES} that a verdict needs", n)
    if not np.isfinite(int8).all():
        return rejected("int8 gave answers that are not finite", n)
    right, right8 = float32.argmax(axis=1) == labels, int8.argmax(axis=1) == labels
    lost, gained = int((right & ~right8).sum()), int((right8 & ~right).sum())
    p_value = binomtest(lost, lost + gained, alternative="greater").pvalue if lost + gained else 1.0
    drop = (lost - gained) / n
    if drop > MAX_DROP:
        reason = f"accuracy falls by {drop:.2%}, more than {MAX_DROP:.1%}"
    elif p_value < SIGNIFICANCE:
        reason = f"accuracy falls by {drop:.2%}, more than chance explains (p = {p_value:.2g})"
    else:
        reason = f"accuracy changes by {(gained - lost) / n:+.2%}, which chance explains (p = {p_value:.2g})"
    return Int8Verdict(
        accepted=bool(drop <= MAX_DROP and p_value >= SIGNIFICANCE),
        reason=reason,
        images=n,
        float32_accuracy=float(right.mean()),
        int8_accuracy=float(right8.mean()),
        lost=lost,
        gained=gained,
        p_value=float(p_value),
    )


def rejected(reason: str, images: int) -> Int8Verdict:
    """A verdict without a comparison."""
    return Int8Verdict(accepted=False, reason=reason, images=images)


class _CalibrationImages(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
    """Hands the calibrator one batch after another, then None."""

    def __init__(self, name: str, images: Pixels, progress: Progress) -> None:
        self._batches = self._iterate(name, images, progress)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

    @staticmethod
    def _iterate(name: str, images: Pixels, progress: Progress) -> Iterator[dict[str, Any]]:
        for start in range(0, len(images), _CALIBRATION_BATCH):
            batch = images[start : start + _CALIBRATION_BATCH]
            yield {name: batch}
            progress("calibrating int8 (images)", start + len(batch), len(images))
