"""A small space for benchmarks, written with Keras and Keras Tuner alone, that times its own steps.

All configurations have the same layers, so that building and tracing cost about the same whoever proposes them.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras import layers


class TinyCnn(keras_tuner.HyperModel):
    """Two convolutions and a dense layer.

    Args:
        classes: Number of classes.
        input_shape: (height, width, channels) of the uint8 images.
        log: A folder for the clock's lines; none are written if None.
    """

    def __init__(self, classes: int, input_shape: tuple[int, int, int], log: str | None = None) -> None:
        super().__init__()
        self.classes, self.input_shape, self.log = classes, tuple(input_shape), log

    def build(self, hp: Any) -> Any:
        """A compiled model from uint8 images to probabilities."""
        filters = hp.Int("filters", 8, 16, step=4)
        model = keras.Sequential(
            [
                keras.Input(self.input_shape, dtype="uint8"),
                layers.Rescaling(1 / 255),
                layers.Conv2D(filters, 3, activation="relu"),
                layers.MaxPooling2D(4),
                layers.Conv2D(2 * filters, 3, activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dropout(hp.Float("dropout", 0.1, 0.5)),
                layers.Dense(hp.Int("units", 32, 128, step=32), activation="relu"),
                layers.Dense(self.classes, activation="softmax"),
            ]
        )
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        """`model.fit` under a clock."""
        clocks = [StepClock(Path(self.log))] if self.log else []
        callbacks = [*clocks, *options.pop("callbacks", [])]
        return model.fit(x, y, batch_size=32, callbacks=callbacks, **{"verbose": 0, **options})


class StepClock(keras.callbacks.Callback):
    """Adds a line to `<folder>/<process id>.jsonl` when training ends.

    Its keys: `process`; `ended`, seconds since 1970; `train` and `validation`, the seconds of each batch, the
    first of which traces the step.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.train: list[float] = []
        self.validation: list[float] = []
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops the clock."""
        self.train.append(time.perf_counter() - self._began)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops the clock."""
        self.validation.append(time.perf_counter() - self._began)

    def on_train_end(self, logs: Any = None) -> None:
        """Writes the line."""
        line = {
            "process": os.getpid(),
            "ended": time.time(),
            "train": self.train,
            "validation": self.validation,
        }
        with (self.folder / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
