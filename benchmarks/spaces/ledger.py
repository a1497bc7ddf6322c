"""A small network whose `fit` writes every finished epoch into a ledger that fer_ray does not read."""

import json
import os
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner


class LedgerHyperModel(keras_tuner.HyperModel):
    """One hidden layer.

    Args:
        classes: Number of classes.
        input_shape: (height, width, channels) of the images.
        ledger: The file.
        pace: A file with the seconds to wait after each epoch, read anew each time; 0.3 if None.
    """

    def __init__(
        self, classes: int, input_shape: tuple[int, int, int], ledger: str, pace: str | None = None
    ) -> None:
        super().__init__()
        self.classes, self.input_shape, self.ledger = classes, tuple(input_shape), Path(ledger)
        self.pace = pace

    def build(self, hp: Any) -> Any:
        """A compiled model."""
        model = keras.Sequential(
            [
                keras.Input(self.input_shape, dtype="uint8"),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(hp.Int("units", 8, 256), activation="relu"),
                keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)),
                keras.layers.Dense(self.classes, activation="softmax"),
            ]
        )
        optimizer = keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log"), momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: Any, model: Any, x: Any, y: Any, callbacks: Any = (), **options: Any) -> Any:
        """Trains; each epoch is in the ledger, on the disk, before anybody else hears of it."""
        values = json.dumps(hp.values, sort_keys=True)

        def finished(epoch: int, logs: Any) -> None:
            # The node's variable, which its workers inherit.
            where = {"process": os.getpid(), "node": os.environ.get("LEDGER_NODE", ""), "time": time.time()}
            line = json.dumps({"values": values, "epoch": epoch + 1, **where}) + "\n"
            with self.ledger.open("a") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            time.sleep(0.3 if self.pace is None else float(Path(self.pace).read_text()))

        # None while the space is discovered, on a handful of images.
        first = [keras.callbacks.LambdaCallback(on_epoch_end=finished)] if len(x) > 100 else []
        return model.fit(x, y, callbacks=[*first, *callbacks], verbose=0, **options)
