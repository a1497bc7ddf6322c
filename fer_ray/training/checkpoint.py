"""A checkpoint: everything that the next epoch depends on, in one file that is whole or not there.

Arrays lie in an uncompressed `.npz`, the rest as JSON beside them in the same file. `.weights.h5` would not do:
it leaves out the random state of dropout and augmentation.
"""

import importlib
import io
import json
import random
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import FailedTrialError, StorageError
from fer_ray.files import write_atomically

FORMAT_VERSION = 1
Arrays = list[NDArray[Any]]


@dataclass(kw_only=True)
class Checkpoint:
    """The state after an epoch.

    Args:
        epoch: Epochs done, from 1.
        model: Values of the model's variables but its metrics', in their order.
        optimizer: Values of the optimizer's variables; empty where the next epoch starts with a new one.
        callbacks: Plain attributes of the user's callbacks, in their order.
        best: Values of the model's variables at the best epoch; empty if no epoch had a finite objective.
        best_epoch: That epoch; 0 if there is none.
        best_value: The objective there.
        result: What was, or was to be, reported of this epoch: a kill may come between.
        random_state: Of Python's and NumPy's global generators.
    """

    epoch: int
    model: Arrays
    optimizer: Arrays
    callbacks: list[dict[str, Any]]
    best: Arrays
    best_epoch: int
    best_value: float | None
    result: dict[str, Any] = field(default_factory=dict)
    random_state: dict[str, Any] = field(default_factory=lambda: global_random_state())


class CheckpointFolder:
    """The checkpoints of one trial, newest kept.

    Args:
        path: A folder of this trial alone, on storage that every worker shares; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes the checkpoint, then removes the older ones.

        Raises:
            StorageError: If it cannot be written; the older ones are then still there.
        """
        file = self.path / f"epoch-{checkpoint.epoch:05d}.npz"
        try:
            write_atomically(file, _encode(checkpoint))
        except OSError as error:
            rule = "must have room for checkpoints"
            raise StorageError(str(self.path), rule, str(error), "Resume the sweep once it has") from error
        for older in self._files():
            if older.name < file.name:
                older.unlink(missing_ok=True)

    def load(self) -> Checkpoint | None:
        """The newest checkpoint, or None.

        Raises:
            FailedTrialError: If it is damaged, or was written by a newer format.
        """
        files = self._files()
        return _decode(files[-1]) if files else None

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("epoch-*.npz"))


def global_random_state() -> dict[str, Any]:
    """The state of Python's and NumPy's global generators, as JSON would hold it."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }


def set_global_random_state(state: dict[str, Any]) -> None:
    """Restores what `global_random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.asarray(keys, np.uint32), *rest))


def _encode(checkpoint: Checkpoint) -> bytes:
    arrays: dict[str, NDArray[Any]] = {}
    for group in ("model", "optimizer", "best"):
        arrays |= {f"{group}/{i:05d}": value for i, value in enumerate(getattr(checkpoint, group))}
    state = {
        "format_version": FORMAT_VERSION,
        "epoch": checkpoint.epoch,
        "callbacks": [_externalise(item, arrays) for item in checkpoint.callbacks],
        "best_epoch": checkpoint.best_epoch,
        "best_value": checkpoint.best_value,
        "result": checkpoint.result,
        "random_state": checkpoint.random_state,
    }
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _decode(file: Path) -> Checkpoint:
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        state = json.loads(arrays.pop("state").tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise FailedTrialError(str(file), "must be a whole checkpoint", str(error)) from error
    if state["format_version"] > FORMAT_VERSION:
        raise FailedTrialError(
            str(file), "was written by a newer fer_ray", f"format {state['format_version']}"
        )
    groups = {
        group: [arrays[name] for name in sorted(arrays) if name.startswith(f"{group}/")]
        for group in ("model", "optimizer", "best")
    }
    return Checkpoint(
        epoch=state["epoch"],
        callbacks=[_internalise(item, arrays) for item in state["callbacks"]],
        best_epoch=state["best_epoch"],
        best_value=state["best_value"],
        result=state["result"],
        random_state=state["random_state"],
        **groups,
    )


def _externalise(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Replaces arrays in plain data by references into the file, and Keras's functions by their names."""
    if isinstance(value, FunctionType):
        return {"function": [value.__module__, value.__qualname__]}
    if isinstance(value, np.ndarray | np.generic):
        name = f"callback/{len(arrays):05d}"
        arrays[name] = np.asarray(value)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if isinstance(value, dict):
        return {"dict": [[_externalise(k, arrays), _externalise(v, arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_externalise(item, arrays) for item in value]}
    return value


def _internalise(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[value["array"]]
        return array[()] if value["scalar"] else array
    if "function" in value:
        module, name = value["function"]
        return getattr(importlib.import_module(module), name)
    if "dict" in value:
        return {_internalise(k, arrays): _internalise(v, arrays) for k, v in value["dict"]}
    kind, items = next(iter(value.items()))
    return {"list": list, "tuple": tuple}[kind](_internalise(item, arrays) for item in items)
