"""`fer-ray models` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner, Result

from fer_ray.cli.app import app
from fer_ray.data import Dataset, open_dataset
from fer_ray.data.synthetic import write_synthetic
from fer_ray.registry import ModelVersion, Registry
from fer_ray.results.evaluation import evaluate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("data") / "faces"
    write_synthetic(out, images=140, size=16, seed=0)
    return open_dataset(out)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    """A registry with one model that answers the first class always."""
    root = tmp_path_factory.mktemp("registry")
    folder = tmp_path_factory.mktemp("model")
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "offsets"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.zeros((256, 7), np.float32), "weights"),
        numpy_helper.from_array(np.eye(7, dtype=np.float32)[0], "offsets"),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ("N", 16, 16, 1))]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("N", 7))]
    graph = helper.make_graph(nodes, "first", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    labels = data.load("test")[1]
    score = evaluate(
        labels, np.eye(7)[np.zeros(len(labels), int)], data.classes, protocol="Drawn for a test."
    )
    fields = {
        "labels": data.classes,
        "input_shape": data.image_shape,
        "engines": {"onnx": "model.onnx"},
        "default_engine": "onnx",
        "metrics": {"test": score.to_dict()},
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }
    for _ in range(2):
        Registry(root).register("faces", folder, fields)
    return root


def call(*arguments: Any) -> Result:
    result = CliRunner().invoke(app, ["models", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def newest(registry: Path) -> ModelVersion:
    return Registry(registry).versions("faces")[-1]


def test_list(registry: Path, data: Dataset) -> None:
    (row,) = json.loads(call("list", "--registry", registry, "--json").stdout)
    assert (row["model"], row["versions"]) == ("faces", 2)
    share = newest(registry).manifest.metrics["test"].accuracy
    assert row["accuracy"] == share
    versions = json.loads(call("list", "faces", "--registry", registry, "--json").stdout)
    assert [row["version"] for row in versions] == Registry(registry).version_ids("faces")[::-1]
    text = call("list", "--registry", registry).stdout
    assert "faces" in text
    assert f"{share:.2%}" in text


def test_an_empty_registry_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_RAY_REGISTRY", str(tmp_path / "nothing"))
    assert json.loads(call("list", "--json").stdout) == []
    assert call("list").stdout == ""
    assert not (tmp_path / "nothing").exists()


def test_show(registry: Path) -> None:
    manifest = json.loads(call("show", "faces", "--registry", registry, "--json").stdout)
    assert manifest["version"] == newest(registry).version
    card = call("show", "faces", "--registry", registry).stdout
    assert card.startswith("# faces\n")
    assert "Drawn for a test." in card


def test_promote(registry: Path) -> None:
    first, second = Registry(registry).version_ids("faces")
    assert (
        f"faces@canary is now faces:{first}."
        in call("promote", f"faces:{first}", "canary", "--registry", registry).stdout
    )
    answer = call("promote", "faces@canary", "--registry", registry, "--json").stdout
    assert json.loads(answer) == {"name": "faces", "alias": "production", "version": first}
    assert Registry(registry).aliases("faces") == {"canary": first, "production": first}
    call("promote", f"faces:{second}", "--registry", registry)
    assert Registry(registry).resolve("faces").version == second


def test_evaluate(registry: Path, data: Dataset, tmp_path: Path) -> None:
    arguments = ("evaluate", "faces", "--data", data.path, "--registry", registry)
    found = json.loads(call(*arguments, "--json", "--confusion", tmp_path / "c.png").stdout)
    counts = list(data.counts["test"].values())
    assert found["evaluation"]["n"] == sum(counts)
    assert found["evaluation"]["accuracy"] == counts[0] / sum(counts)
    assert [row[0] for row in found["evaluation"]["confusion"]] == counts
    with Image.open(tmp_path / "c.png") as image:
        assert image.format == "PNG"
    text = call(*arguments, "--split", "validation")
    assert "95% Wilson interval" in text.stdout
    assert f"n = {sum(data.counts['validation'].values())}" in text.stdout
    assert all(name in text.stdout for name in data.classes)
    assert "Warning: These images chose the model" in text.stderr


def test_an_error_is_one_line_and_no_traceback(registry: Path, tmp_path: Path) -> None:
    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        code = "from fer_ray.cli.app import main; main()"
        command = [sys.executable, "-c", code, "models", *map(str, arguments), "--registry", str(registry)]
        return subprocess.run(command, capture_output=True, text=True)

    for arguments, named in [
        (("show", "cars"), "It holds faces"),
        (("promote", "faces", "../x"), "alias: must have 1 to 64"),
        (("evaluate", "faces", "--data", tmp_path), "dataset.json"),
    ]:
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.strip().startswith("Error: ")
        assert done.stderr.strip().count("\n") == 0, done.stderr
        assert named in done.stderr
