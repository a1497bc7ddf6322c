"""Evaluating a registered version on a data set: the numbers, the refusals, the warnings."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_ray.data import Dataset, open_dataset
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import DataError, ExportError, ModelNotFoundError
from fer_ray.export.evaluate_version import evaluate_version
from fer_ray.registry import Registry

SIZE = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("data") / "faces"
    write_synthetic(out, images=210, size=SIZE, seed=0)
    return open_dataset(out)


def linear(path: Path, weights: np.ndarray) -> None:
    """A linear classifier of the pixels, as ONNX."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ("N", SIZE, SIZE, 1))]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("N", weights.shape[1]))]
    graph = helper.make_graph(nodes, "linear", inputs, outputs, [numpy_helper.from_array(weights, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1e-3, (SIZE * SIZE, 7)).astype(np.float32)


@pytest.fixture
def fields(data: Dataset) -> dict[str, Any]:
    return {
        "labels": data.classes,
        "input_shape": data.image_shape,
        "engines": {"onnx": "model.onnx", "onnx_int8": "model.int8.onnx"},
        "default_engine": "onnx",
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }


@pytest.fixture
def registry(tmp_path: Path, weights: np.ndarray) -> Registry:
    folder = tmp_path / "model"
    folder.mkdir()
    linear(folder / "model.onnx", weights)
    linear(folder / "model.int8.onnx", -weights)  # tells the engines apart
    return Registry(tmp_path / "registry")


def register(registry: Registry, tmp_path: Path, fields: dict[str, Any], **changes: Any) -> None:
    registry.register("faces", tmp_path / "model", {**fields, **changes})


@pytest.mark.parametrize(("engine", "sign"), [(None, 1), ("onnx", 1), ("onnx_int8", -1)])
def test_the_numbers_are_those_of_the_engine_on_the_split(
    registry: Registry,
    data: Dataset,
    fields: dict[str, Any],
    weights: np.ndarray,
    tmp_path: Path,
    engine: str | None,
    sign: int,
) -> None:
    register(registry, tmp_path, fields)
    found = evaluate_version(registry, "faces", data.path, engine=engine)
    images, labels = data.load("test")
    predicted = (sign * images.reshape(len(images), -1).astype(np.float32) @ weights).argmax(axis=1)
    assert found.evaluation.n == len(labels)
    assert found.evaluation.accuracy == (predicted == labels).mean()
    assert found.engine == (engine or "onnx")
    assert found.warnings == ()
    assert found.reference in found.evaluation.protocol
    assert found.to_dict()["evaluation"]["n"] == len(labels)


def test_without_a_choice_the_default_engine_answers(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path
) -> None:
    register(registry, tmp_path, fields, default_engine="onnx_int8")
    assert evaluate_version(registry, "faces", data.path).engine == "onnx_int8"


@pytest.mark.parametrize(("split", "warning"), [("train", "trained on these"), ("validation", "flatter")])
def test_a_split_that_made_the_model_is_warned_of(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path, split: str, warning: str
) -> None:
    register(registry, tmp_path, fields)
    found = evaluate_version(registry, "faces", data.path, split=split)
    assert found.evaluation.n == sum(data.counts[split].values())
    assert len(found.warnings) == 1
    assert warning in found.warnings[0]


def test_another_data_set_is_warned_of(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path
) -> None:
    register(registry, tmp_path, fields, data={"name": "older", "fingerprint": "ab" * 32})
    (warning,) = evaluate_version(registry, "faces", data.path).warnings
    assert "older (abababababab)" in warning
    assert data.fingerprint[:12] in warning


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"labels": tuple("abcdefg")}, "must have the classes of faces:.* in its order: a, b, c"),
        ({"input_shape": (48, 48, 1)}, "must have images of 48 x 48 x 1 .*Received: 16 x 16 x 1"),
    ],
)
def test_a_model_for_other_images_is_refused(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path, changes: Any, rule: str
) -> None:
    register(registry, tmp_path, fields, **changes)
    with pytest.raises(ExportError, match=rule):
        evaluate_version(registry, "faces", data.path)


def test_the_same_classes_in_another_order_are_refused(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path
) -> None:
    register(registry, tmp_path, fields, labels=data.classes[::-1])
    with pytest.raises(ExportError, match="in its order"):
        evaluate_version(registry, "faces", data.path)


def test_what_is_not_there_is_refused(
    registry: Registry, data: Dataset, fields: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError):
        evaluate_version(registry, "faces", data.path)
    register(registry, tmp_path, fields, engines={"onnx": "model.onnx"})
    with pytest.raises(ExportError, match=r"one of its ONNX engines: onnx\. Received: onnx_int8"):
        evaluate_version(registry, "faces", data.path, engine="onnx_int8")
    with pytest.raises(DataError):
        evaluate_version(registry, "faces", tmp_path / "nothing")
    with pytest.raises(DataError, match="split"):
        evaluate_version(registry, "faces", data.path, split="dev")
