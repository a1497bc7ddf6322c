"""The baseline space under a clock: every contender of time_to_accuracy.py trains this; none counts for itself.

The repository's root has to be on Python's path.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import keras

from search_spaces.baseline import BaselineHyperModel

IMAGES = 10_000


class RaceHyperModel(BaselineHyperModel):
    """Networks small enough for epochs of seconds, trained on the first images of the data.

    Args:
        classes, input_shape: As in `BaselineHyperModel`.
        log: A folder; each finished epoch is a line in a file of its process there. None writes nothing.
    """

    def __init__(self, classes: int, input_shape: tuple[int, int, int], log: str | None = None) -> None:
        # A fifth block would leave nothing of 24 pixels.
        super().__init__(classes, input_shape, filters=(8, 12, 16), blocks=(3, 4))
        self.log = log

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        """Trains; a finished epoch is in the log before its tool hears of it."""
        # A tool that looks at the space with a handful of images does not race yet.
        clocks = [EpochLog(Path(self.log), hp)] if self.log and len(x) >= IMAGES else []
        options["callbacks"] = [*clocks, *options.get("callbacks", [])]
        return super().fit(hp, model, x[:IMAGES], y[:IMAGES], **{"verbose": 0, **options})


class EpochLog(keras.callbacks.Callback):
    """Adds a line for each epoch to `<folder>/<process id>.jsonl`.

    Its keys: `values`, the active hyperparameters; `epoch`, from 1; `began` and `ended`, seconds since 1970;
    `val_accuracy`.
    """

    def __init__(self, folder: Path, hp: Any) -> None:
        super().__init__()
        self.file = folder / f"{os.getpid()}.jsonl"
        # Keras Tuner's Hyperband keeps its own notes among the hyperparameters.
        self.values = {name: value for name, value in hp.values.items() if not name.startswith("tuner/")}
        self.began = time.time()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self.began = time.time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the line."""
        line = {
            "values": self.values,
            "epoch": epoch + 1,
            "began": self.began,
            "ended": time.time(),
            "val_accuracy": float(logs["val_accuracy"]),
        }
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
