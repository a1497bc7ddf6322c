"""A model folder to register, and a registry over each kind of filesystem."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.fs
import pytest

from fer_ray.registry import Registry


@pytest.fixture
def score() -> dict[str, Any]:
    return {
        "accuracy": 0.5,
        "n": 200,
        "interval": [0.43, 0.57],
        "macro_f1": 0.4,
        "balanced_accuracy": 0.45,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "winner"
    (made / "extra").mkdir(parents=True)
    (made / "model.onnx").write_bytes(b"onnx" * 1000)
    (made / "model.weights.h5").write_bytes(b"weights")
    (made / "space.py").write_text("def build(hp): ...\n")
    (made / "extra" / "note.txt").write_text("kept too\n")
    return made


@pytest.fixture
def fields(score: dict[str, Any]) -> dict[str, Any]:
    return {
        "labels": ["cat", "dog"],
        "input_shape": [8, 8, 1],
        "engines": {"onnx": "model.onnx", "keras": "model.weights.h5"},
        "default_engine": "onnx",
        "space": {"file": "space.py", "object": "build", "arguments": {"classes": 2}},
        "hyperparameters": {"units": 64, "momentum": None},
        "metrics": {"test": score},
        "data": {"name": "animals", "fingerprint": "ab" * 32, "card": {"description": "Drawn animals."}},
    }


@pytest.fixture(params=["path", "uri", "subtree", "mock", "memory"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Registry]:
    """The same contract holds on local disk and on filesystems that are none."""
    monkeypatch.setenv("FER_RAY_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "registry"
    if request.param == "path":
        yield Registry(root)
    elif request.param == "uri":
        yield Registry(root.as_uri())
    elif request.param == "subtree":
        yield Registry("models", pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem()))
    elif request.param == "mock":
        yield Registry("bucket/models", pyarrow.fs._MockFileSystem())
    else:
        memory = fsspec.filesystem("memory")
        memory.rm("/", recursive=True) if memory.exists("/bucket") else None
        yield Registry("/bucket/models", pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(memory)))
