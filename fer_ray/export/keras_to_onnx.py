"""A live Keras model to an ONNX file: uint8 pixels in, probabilities out, float32 inside."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from fer_ray.errors import ExportError

if TYPE_CHECKING:
    import keras

INPUT, OUTPUT = "images", "probabilities"


def export_onnx(model: "keras.Model", path: str | Path) -> Path:
    """Writes a model's ONNX twin; whole or not at all.

    The twin takes one tensor ``images``, uint8 (N, H, W, C) with N open, whatever dtype the model's own input
    has, and gives ``probabilities``, float32 (N, K).

    Args:
        model: A built model of one input (H, W, C) and one output (K,), float32 throughout.
        path: The `.onnx` file to write.

    Raises:
        ExportError: If the model has other inputs or outputs, computes in less than float32 (rebuild it in
            float32 first), or has a layer that has no ONNX form.
    """
    path = Path(path)
    height, width, channels = _image_shape(model)
    _require_float32(model)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _convert(model, (height, width, channels), temporary)
        proto = onnx.load(temporary)
        _rename_output(proto)
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, temporary)
        temporary.replace(path)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, onnx.checker.ValidationError) as error:
        where, rule = f"model {model.name!r}", "every layer must have an ONNX form"
        raise ExportError(where, rule, f"{type(error).__name__}: {str(error)[:500]}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _image_shape(model: "keras.Model") -> tuple[int, int, int]:
    where = f"model {model.name!r}"
    inputs, outputs = (list(getattr(model, part, None) or []) for part in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        received = f"{len(inputs)} inputs, {len(outputs)} outputs"
        raise ExportError(where, "must be a functional model of one input and one output", received)
    shape, output = tuple(inputs[0].shape), tuple(outputs[0].shape)
    if len(shape) != 4 or len(output) != 2 or None in [*shape[1:], output[1]]:
        raise ExportError(where, "must map (N, H, W, C) to (N, K), only N open", f"{shape} to {output}")
    return shape[1], shape[2], shape[3]


def _require_float32(model: "keras.Model") -> None:
    for layer in _all_layers(model):
        dtype = layer.compute_dtype
        if dtype in ("float16", "bfloat16"):
            remedy = "Rebuild the model in float32, load its weights and evaluate it again"
            raise ExportError(f"layer {layer.name!r}", "must compute in float32", dtype, remedy)


def _all_layers(layer: Any) -> Iterator[Any]:
    yield layer
    for inner in getattr(layer, "layers", []):
        yield from _all_layers(inner)


def _convert(model: "keras.Model", shape: tuple[int, int, int], path: Path) -> None:
    import keras

    images = keras.Input(shape, dtype="uint8", name=INPUT)
    # Keras traces without `training`, and a nested model's batch normalisation then comes out in training mode.
    inference = keras.Model(images, model(images, training=False))
    inference(np.zeros((1, *shape), np.uint8))  # Keras exports only what was called once
    with _quiet():
        inference.export(str(path), format="onnx", verbose=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx logs its every step and TensorFlow warns of its own calls; errors still come out."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _rename_output(proto: onnx.ModelProto) -> None:
    """tf2onnx names outputs ``Identity:0``; no node reads a graph's output, so one place needs the name."""
    old = proto.graph.output[0].name
    for node in proto.graph.node:
        node.output[:] = [OUTPUT if name == old else name for name in node.output]
        node.input[:] = [OUTPUT if name == old else name for name in node.input]
    proto.graph.output[0].name = OUTPUT
