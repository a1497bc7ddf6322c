"""The ONNX twin answers as its Keras model does; int8 is shipped by the rule alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fer_ray.errors import ExportError
from fer_ray.export.keras_to_onnx import export_onnx
from fer_ray.export.onnx_model import OnnxModel, predict_all
from fer_ray.export.twin import export_twin

pytestmark = pytest.mark.keras
Draw = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
KINDS = ["plain", "mobile"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_answers_as_its_trained_model(
    trained: Callable[[str], Any], drawn: Draw, tmp_path: Path, kind: str
) -> None:
    model, (images, labels) = trained(kind), drawn(300, 2)
    path = export_onnx(model, tmp_path / "model.onnx")
    twin = OnnxModel(path)
    answered = predict_all(twin, images)
    np.testing.assert_allclose(answered, model.predict(images, verbose=0), atol=1e-5)
    assert (answered.argmax(axis=1) == labels).mean() > 0.8  # the trained weights are in it
    np.testing.assert_allclose(answered.sum(axis=1), 1, atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_has_our_names_an_open_batch_and_no_training_mode(
    trained: Callable[[str], Any], tmp_path: Path, kind: str
) -> None:
    graph = onnx.load(export_onnx(trained(kind), tmp_path / "model.onnx")).graph
    assert [tensor.name for tensor in graph.input] == ["images"]
    assert [tensor.name for tensor in graph.output] == ["probabilities"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    operators = {node.op_type for node in graph.node}
    # Statistics of the batch, or random numbers, would mean training mode.
    assert not operators & {"Sqrt", "ReduceMean", "RandomUniform", "RandomUniformLike", "Dropout"}


def test_an_image_is_answered_alike_alone_and_in_a_batch(
    trained: Callable[[str], Any], drawn: Draw, tmp_path: Path
) -> None:
    twin, images = OnnxModel(export_onnx(trained("mobile"), tmp_path / "model.onnx")), drawn(20, 3)[0]
    alone = np.concatenate([twin.predict(image[None]) for image in images])
    np.testing.assert_allclose(alone, twin.predict(images), atol=1e-5)


def test_a_model_of_float_images_gets_a_uint8_twin(
    build: Callable[..., Any], drawn: Draw, tmp_path: Path
) -> None:
    model, images = build("plain", dtype="float32"), drawn(30, 4)[0]
    twin = OnnxModel(export_onnx(model, tmp_path / "model.onnx"))
    np.testing.assert_allclose(twin.predict(images), model.predict(images, verbose=0), atol=1e-5)


def test_half_precision_is_refused(keras: Any, build: Callable[..., Any], tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("mobile")
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ExportError, match=r"must compute in float32.*bfloat16.*Rebuild"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_models_of_another_form_are_refused(keras: Any, tmp_path: Path) -> None:
    images, vector = keras.Input((8, 8, 1)), keras.Input((8,))
    flat = keras.layers.Flatten()(images)
    models = {
        "one input and one output": keras.Model([images, vector], keras.layers.Concatenate()([flat, vector])),
        r"must map \(N, H, W, C\)": keras.Model(vector, keras.layers.Dense(2)(vector)),
    }
    for rule, model in models.items():
        with pytest.raises(ExportError, match=rule):
            export_onnx(model, tmp_path / "model.onnx")


def test_a_layer_without_onnx_form_is_one_clear_error(keras: Any, tmp_path: Path) -> None:
    images = keras.Input((8, 8, 1), dtype="uint8")
    spectrum = keras.layers.Lambda(lambda x: keras.ops.fft2((keras.ops.cast(x, "float32"),) * 2)[0])(images)
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(spectrum)))
    with pytest.raises(ExportError, match="every layer must have an ONNX form"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_export_twin_writes_what_it_reports(
    trained: Callable[[str], Any], drawn: Draw, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model, (train, _), (images, labels) = trained(kind), drawn(200, 5), drawn(600, 6)
    stages: list[str] = []
    report = export_twin(
        model,
        tmp_path / "model",
        calibration_images=train,
        validation_images=images,
        validation_labels=labels,
        progress=lambda stage, done, total: stages.append(stage) if done == total else None,
    )
    assert {path.name for path in (tmp_path / "model").iterdir()} == set(report.engines.values())
    assert report.engines["onnx"] == "model.onnx"
    assert report.parity.images == 512
    assert report.parity.max_difference < 1e-4
    assert report.int8.images == 600
    right = (model.predict(images, verbose=0).argmax(axis=1) == labels).mean()
    assert report.int8.float32_accuracy == pytest.approx(right)
    assert ("onnx_int8" in report.engines) == report.int8.accepted
    assert report.default_engine in report.engines
    assert set(report.latency_ms) == set(report.engines)
    if report.int8.accepted:
        int8 = predict_all(OnnxModel(tmp_path / "model" / "model.int8.onnx"), images)
        np.testing.assert_allclose(int8.sum(axis=1), 1, atol=1e-5)
        assert (int8.argmax(axis=1) == labels).mean() == pytest.approx(report.int8.int8_accuracy)
        faster = all(report.latency_ms["onnx_int8"][n] < report.latency_ms["onnx"][n] for n in (1, 32))
        assert report.default_engine == ("onnx_int8" if faster else "onnx")
    fields = json.loads(json.dumps(report.manifest_fields(), allow_nan=False))
    assert set(fields) == {"engines", "default_engine", "parity"}
    assert fields["parity"]["latency_ms"]["onnx"].keys() == {"batch_1", "batch_32"}
    assert "calibrating int8 (images)" in stages
    written = capfd.readouterr()
    assert written.out == ""
    assert "tf2onnx" not in written.err


def test_int8_that_loses_is_not_shipped(trained: Callable[[str], Any], drawn: Draw, tmp_path: Path) -> None:
    """Calibrated on empty images, every activation saturates; an older int8 twin must not stay either."""
    (tmp_path / "model.int8.onnx").write_bytes(b"older")
    images, labels = drawn(600, 6)
    report = export_twin(
        trained("plain"),
        tmp_path,
        calibration_images=np.full((64, 16, 16, 1), 128, np.uint8),
        validation_images=images,
        validation_labels=labels,
    )
    assert not report.int8.accepted
    assert "accuracy falls by" in report.int8.reason
    assert report.engines == {"onnx": "model.onnx"}
    assert report.default_engine == "onnx"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_logits_are_no_probabilities(build: Callable[..., Any], drawn: Draw, tmp_path: Path) -> None:
    images, labels = drawn(40, 7)
    with pytest.raises(ExportError, match=r"probabilities that sum to 1.*Add a softmax"):
        export_twin(
            build("plain", softmax=False),
            tmp_path,
            calibration_images=images,
            validation_images=images,
            validation_labels=labels,
        )


def test_images_are_needed(build: Callable[..., Any], drawn: Draw, tmp_path: Path) -> None:
    images, labels = drawn(4, 7)
    with pytest.raises(ExportError, match="needs calibration images"):
        export_twin(
            build("plain"),
            tmp_path,
            calibration_images=images[:0],
            validation_images=images,
            validation_labels=labels,
        )
