"""Runs an ONNX twin: uint8 pixels in, probabilities out. Imports neither TensorFlow nor Keras."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fer_ray.errors import ExportError
from fer_ray.progress import Progress, no_progress

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


class OnnxModel:
    """An ONNX Runtime session over one twin; safe to share between threads.

    Args:
        path: A `.onnx` file with one input, uint8 (N, H, W, C), and one output, float32 (N, K).
        threads: Threads that one call computes with (ONNX Runtime's intra-op threads), at least 1.

    Attributes:
        input_shape: (H, W, C).
        classes: K, the number of probabilities per image.

    Raises:
        ExportError: If the file is missing, is no ONNX model, or has other inputs or outputs than these.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self.path = Path(path)
        self._session = _open_session(self.path, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found = ", ".join(f"{tensor.name}: {tensor.type}{tensor.shape}" for tensor in [*inputs, *outputs])
        if (
            [(tensor.type, len(tensor.shape)) for tensor in inputs] != [("tensor(uint8)", 4)]
            or [(tensor.type, len(tensor.shape)) for tensor in outputs] != [("tensor(float)", 2)]
            or not all(isinstance(size, int) for size in [*inputs[0].shape[1:], outputs[0].shape[1]])
        ):
            rule = "must have one input uint8 (N, H, W, C) and one output float32 (N, K), only N open"
            raise ExportError(str(self.path), rule, found)
        self._input, self._output = inputs[0].name, outputs[0].name
        height, width, channels = inputs[0].shape[1:]
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.classes: int = outputs[0].shape[1]

    def predict(self, images: Pixels) -> Probabilities:
        """Answers for a batch of images.

        Args:
            images: uint8, shape (N, H, W, C), N at least 1, range 0 to 255.

        Returns:
            float32, shape (N, K); each row sums to 1.

        Raises:
            ExportError: If dtype or shape are others, or the runtime fails.
        """
        received = f"{getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}".strip()
        height, width, channels = self.input_shape
        if received.split(" ")[0] != "uint8" or images.shape[1:] != self.input_shape or not len(images):
            rule = f"images must be uint8 of shape (N, {height}, {width}, {channels}), N at least 1"
            raise ExportError(str(self.path), rule, received)
        try:
            answer: Probabilities = self._session.run([self._output], {self._input: images})[0]
        except Exception as error:  # the runtime has no common error class of its own
            raise ExportError(str(self.path), "ONNX Runtime must be able to run it", str(error)) from error
        return answer


def predict_all(
    model: OnnxModel,
    images: Pixels,
    *,
    batch_size: int = 64,
    progress: Progress = no_progress,
    stage: str = "predicting (images)",
) -> Probabilities:
    """Answers for any number of images, in batches; as `OnnxModel.predict`, also for no images at all."""
    answers = np.empty((len(images), model.classes), np.float32)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        answers[start : start + len(batch)] = model.predict(batch)
        progress(stage, start + len(batch), len(images))
    return answers


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    if threads < 1:
        raise ExportError("threads", "must be at least 1", str(threads))
    if not path.is_file():
        raise ExportError(str(path), "must be an ONNX file", "no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has no common error class of its own
        raise ExportError(
            str(path), "must be an ONNX model that ONNX Runtime can load", str(error)
        ) from error
