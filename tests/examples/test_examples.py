"""The examples run as they stand, with less of everything."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fer_ray.registry import Registry

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACE = """
import keras


def build(hp):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")]
    model = keras.Sequential([keras.Input((48, 48, 1)), *layers])
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def test_ten_lines_are_ten():
    source = (EXAMPLES / "ten_lines.py").read_text()
    docstring, *code = ast.parse(source).body
    assert isinstance(docstring, ast.Expr)
    lines = {line for statement in code for line in range(statement.lineno, statement.end_lineno + 1)}
    assert len(lines) == 10


@pytest.mark.ray
def test_ten_lines_go_from_faces_to_answers(tmp_path):
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces/space.py").write_text(SPACE)
    content = {
        "name": "demo",
        "data": "replaced",
        "space": {"file": "space.py"},
        "scheduler": {"kind": "none", "max_epochs": 1},
        "max_trials": 1,
        "model": {"registry": "registry"},
    }
    (tmp_path / "search_spaces/demo.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, EXAMPLES / "ten_lines.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    page, model, answers = done.stdout.splitlines()[-3:]
    version = Registry(tmp_path / "registry").resolve("demo@production")
    assert (tmp_path / page).is_file()
    assert model == f"LocalModel('{version.reference}')"
    assert answers.count("Prediction(label=") == 3
