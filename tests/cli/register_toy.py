"""Registers a model of two classes, dark and bright, below the folder that is named; writes bright.png there."""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fer_ray.registry.store import Registry


def main(root: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights", "offsets"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = np.tile(np.array([[-8, 8]], np.float32) / (64 * 255), (64, 1))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 8, 8, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([4, -4], np.float32), "offsets"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    built = root / "built"
    built.mkdir()
    onnx.save(model, built / "model.onnx")
    fields = {
        "labels": ["dark", "bright"],
        "input_shape": [8, 8, 1],
        "engines": {"onnx": "model.onnx"},
        "default_engine": "onnx",
        "data": {"name": "drawn", "fingerprint": "0" * 64},
    }
    Registry(root).register("toy", built, fields)
    Image.new("L", (20, 20), 250).save(root / "bright.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
