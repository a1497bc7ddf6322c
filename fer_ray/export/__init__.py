"""The export room: a trained model to ONNX float32 and int8, parity, calibration. Imports no TensorFlow."""

from fer_ray.export.onnx_model import OnnxModel

__all__ = ["OnnxModel"]
