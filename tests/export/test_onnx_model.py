"""Running a twin: its checks, its errors, its imports. The models are made with onnx alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fer_ray.errors import ExportError
from fer_ray.export import OnnxModel
from fer_ray.export.onnx_model import predict_all


def save(
    path: Path, *, dtype: int = TensorProto.UINT8, shape: tuple = ("N", 4, 4, 1), classes: int = 2
) -> Path:
    """A linear classifier of 4x4 pixels whose weights are 0.001 · (pixel number + class number)."""
    weights = 0.001 * np.add.outer(np.arange(16), np.arange(classes)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", dtype, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("N", classes))],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def expected(images: np.ndarray) -> np.ndarray:
    logits = images.reshape(len(images), 16).astype(float) @ (
        0.001 * np.add.outer(np.arange(16), np.arange(2))
    )
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


@pytest.mark.parametrize("threads", [1, 2])
def test_answers(tmp_path: Path, images: np.ndarray, threads: int) -> None:
    model = OnnxModel(save(tmp_path / "m.onnx"), threads)
    assert (model.input_shape, model.classes) == ((4, 4, 1), 2)
    answer = model.predict(images)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected(images), rtol=1e-4)
    # A view that is not contiguous is answered alike.
    np.testing.assert_array_equal(model.predict(images[::2]), answer[::2])


def test_all_in_batches(tmp_path: Path, images: np.ndarray) -> None:
    model, seen = OnnxModel(save(tmp_path / "m.onnx")), []
    answer = predict_all(
        model, images, batch_size=2, progress=lambda stage, done, total: seen.append((done, total))
    )
    np.testing.assert_allclose(answer, expected(images), rtol=1e-4)
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert predict_all(model, images[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 4, 4, 1), np.float32),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((1, 4, 5, 1), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 4, 1), np.uint8),
        [[1, 2]],
        None,
    ],
)
def test_other_images_are_refused_with_what_was_received(tmp_path: Path, wrong: np.ndarray) -> None:
    model = OnnxModel(save(tmp_path / "m.onnx"))
    received = str(getattr(wrong, "dtype", type(wrong).__name__))
    with pytest.raises(ExportError, match=rf"uint8 of shape \(N, 4, 4, 1\).*Received: {received}"):
        model.predict(wrong)


def test_files_that_are_no_twin_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file"):
        OnnxModel(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ExportError, match="must be an ONNX model"):
        OnnxModel(tmp_path / "text.onnx")
    floats = save(tmp_path / "f.onnx", dtype=TensorProto.FLOAT)
    with pytest.raises(ExportError, match=r"one input uint8.*images: tensor\(float\)"):
        OnnxModel(floats)
    with pytest.raises(ExportError, match="only N open"):
        OnnxModel(save(tmp_path / "open.onnx", shape=("N", "H", "W", 1)))
    with pytest.raises(ExportError, match="threads: must be at least 1"):
        OnnxModel(save(tmp_path / "m.onnx"), threads=0)


def test_a_process_that_runs_onnx_imports_neither_tensorflow_nor_keras() -> None:
    heavy = "tensorflow", "keras", "ray", "optuna", "pandas", "matplotlib", "sklearn", "tf2onnx"
    code = (
        "import sys; import fer_ray.registry; from fer_ray.export.onnx_model import OnnxModel; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
