"""Rooms import downwards only, and what must be light is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "tensorflow",
    "keras",
    "keras_tuner",
    "ray",
    "pandas",
    "pyarrow",
    "optuna",
    "sklearn",
    "matplotlib",
    "onnx",
}


def modules_after(code):
    """Top-level modules that a new process has imported once it has run `code`."""
    wrapped = (
        "import json, sys\ntry:\n    "
        + code.replace("\n", "\n    ")
        + "\nexcept SystemExit: pass\n"
        + "print('\\n' + json.dumps(sorted({m.partition('.')[0] for m in sys.modules})), file=sys.stderr)"
    )
    command = [sys.executable, "-c", wrapped]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


def test_rooms_import_downwards_only():
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
    assert "Rooms import downwards only KEPT" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["sweep", "--help"], ["models", "--help"], ["cluster", "--help"], ["--version"]]
)
def test_help_comes_without_a_heavy_import(arguments):
    modules, out = modules_after(
        f"import sys\nsys.argv = ['fer-ray', *{arguments!r}]\nfrom fer_ray.cli.app import main\nmain()"
    )
    assert out.strip()
    assert "fer_ray" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    "room", ["data", "spaces", "results", "registry", "nodes", "export", "training", "search", "serving"]
)
def test_a_rooms_front_door_imports_no_tensorflow(room):
    modules, _ = modules_after(f"import fer_ray.{room}")
    assert modules & {"tensorflow", "keras", "keras_tuner"} == set()


@pytest.mark.parametrize("room", ["data", "spaces", "results", "registry", "nodes", "export", "training"])
def test_nothing_below_search_and_serving_knows_ray(room):
    code = (
        "import importlib, pkgutil\n"
        f"import fer_ray.{room} as room\n"
        "for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(found.name)"
    )
    modules, _ = modules_after(code)
    assert "ray" not in modules


def test_the_driver_of_a_sweep_imports_no_tensorflow():
    code = (
        "import importlib, pkgutil\n"
        "import fer_ray.search as room\n"
        "for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(found.name)"
    )
    modules, _ = modules_after(code)
    assert "ray" in modules
    assert modules & {"tensorflow", "keras", "keras_tuner"} == set()
