"""How long one image takes what would serve a model, measured on the machine that trains it."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fer_ray.errors import ExportError, InfeasibleModelError


def latency_ms(model: Any) -> float:
    """The median milliseconds of one image through the model's ONNX twin on ONNX Runtime, with one thread.

    Args:
        model: A built Keras model in float32.

    Raises:
        InfeasibleModelError: If it has no ONNX twin, so that it could not be served either.
    """
    from fer_ray.export.keras_to_onnx import export_onnx
    from fer_ray.export.latency import measure_latency
    from fer_ray.export.onnx_model import OnnxModel

    with tempfile.TemporaryDirectory() as folder:
        try:
            twin = OnnxModel(export_onnx(model, Path(folder) / "model.onnx"))
        except ExportError as error:
            rule = f"needs an ONNX twin to be measured on: {error.where} {error.rule}"
            raise InfeasibleModelError("latency_ms", rule, error.received) from error
        image = np.random.default_rng(0).integers(0, 256, (1, *twin.input_shape), np.uint8)
        return measure_latency({"twin": twin}, image, batches=(1,))["twin"][1]
