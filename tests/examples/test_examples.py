"""The examples run as they stand, with less of everything."""

import ast
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

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
# Runs in the notebook's kernel, after its last cell.
CHECK = """
assert right.mean() == test.accuracy, "the registry's number is that of the engine which answers"
assert answer.model == version.reference and answer.label == answers[0].label
assert len(found.trials) == len(other.trials) == 2
assert report.page.is_file() and page.is_file() and (folder / "comparison.html").is_file()
"""


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / "fer_ray.ipynb", as_version=4)


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


def test_the_notebook_holds_no_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.ray
def test_the_notebook_runs(notebook, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (place,) = (
        place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
    )
    smaller = f"images, size, trials, epochs, port = 400, 16, 2, 1, {port}"
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(smaller))
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in data for data in shown) == 3
    # What `watch` shows last; Tune's own reporter would have cleared it.
    (watched,) = (data["text/markdown"] for data in shown if "text/markdown" in data)
    assert watched.startswith("0 trials running, 2 finished, 0 stopped, 2 epochs, best ")
