"""What computes a model's answers: the ONNX twin on ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import ServingError
from fer_ray.export.onnx_model import OnnxModel
from fer_ray.pixels import Pixels
from fer_ray.registry.manifest import Manifest


class Engine(Protocol):
    """Computes probabilities; called from several threads at once."""

    def predict(self, images: Pixels) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) to float32 (N, K); each row sums to 1."""
        ...


#: Called with the model's folder, its manifest, the engine's name and the threads of one call.
EngineLoader = Callable[[Path, Manifest, str, int], Engine]


def _load_onnx(folder: Path, manifest: Manifest, engine: str, threads: int) -> Engine:
    model = OnnxModel(folder / manifest.engines[engine], threads)
    expected = (manifest.input_shape, len(manifest.labels))
    if (model.input_shape, model.classes) != expected:
        found = f"input {model.input_shape}, {model.classes} classes"
        rule = f"must take {expected[0]} and give {expected[1]} classes, as its manifest says"
        raise ServingError(str(model.path), rule, found)
    return model


LOADERS: dict[str, EngineLoader] = {"onnx": _load_onnx, "onnx_int8": _load_onnx}


def choose_engine(manifest: Manifest, engine: str = "default") -> str:
    """The engine's name, checked before anything is deployed.

    Args:
        manifest: Of the model.
        engine: A name, or ``default`` for the one that the manifest proposes.

    Raises:
        ServingError: If the model has no such engine, or serving cannot run it.
    """
    name = manifest.default_engine if engine == "default" else engine
    usable = [known for known in manifest.engines if known in LOADERS]
    if name not in usable:
        where = f"engine of {manifest.name}:{manifest.version}"
        raise ServingError(where, f"must be one of {', '.join(usable) or '(the model has none)'}", name)
    return name


def load_engine(folder: Path, manifest: Manifest, engine: str, threads: int) -> Engine:
    """Loads an engine from a model folder.

    Raises:
        ServingError: If the model has no such engine.
        ExportError: If its file is broken.
    """
    name = choose_engine(manifest, engine)
    return LOADERS[name](folder, manifest, name, threads)
