"""A sweep over the baseline space on FER2013, beside the architecture that this project started from.

The sweep: search_spaces/fer2013.yaml, 16 trials of up to 9 epochs, ASHA, one thread a worker. The rival: the last
hand-made network of the starting point (three convolutions of 64, 256 and 512 filters, AdamW), trained for as
long as the whole sweep took, with every core, its best epoch chosen on validation. Both train on the train split
without copies of evaluation images, choose on validation and report test once.

    python benchmarks/fer2013.py --data data/fer2013 [--quick]
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def run_sweep(data: Path, folder: Path, quick: bool) -> dict[str, Any]:
    """Runs the sweep and reads its winner's test score from the registry."""
    from fer_ray.cli.watching import watched
    from fer_ray.registry import Registry
    from fer_ray.search import SweepSpec, run

    overrides: dict[str, Any] = {
        "name": "benchmark",
        "data": str(data),
        "folder": str(folder),
        "model.registry": str(folder / "registry"),
        **({"max_trials": 2, "scheduler.max_epochs": 1} if quick else {}),
    }
    spec = SweepSpec.from_yaml(REPOSITORY / "search_spaces/fer2013.yaml", overrides)
    started = time.monotonic()
    with watched("fer2013") as (watch, progress):
        result = run(spec, watch=watch, progress=progress)
    total = time.monotonic() - started
    assert result.outcome and result.outcome.model
    version = Registry(spec.model.registry).resolve(result.outcome.model)
    test = version.manifest.metrics["test"]
    return {
        "sweep_s": round(total, 1),
        "search_s": round(result.outcome.seconds, 1),
        "utilisation": round(result.outcome.utilisation, 3),
        "trials": result.trials.num_rows,
        "epochs": result.epochs.num_rows,
        "validation_accuracy": version.manifest.metrics["validation"].accuracy,
        "test_accuracy": test.accuracy,
        "test_interval": test.interval,
        "test_macro_f1": test.macro_f1,
        "n": test.n,
        "hyperparameters": version.manifest.hyperparameters,
    }


def train_rival(data: Path, seconds: float) -> dict[str, Any]:
    """Trains the starting point's network for a time; runs in a process of its own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from fer_ray.data import open_dataset
    from fer_ray.results.evaluation import evaluate

    dataset = open_dataset(data)
    splits = {split: dataset.load(split) for split in ("train", "validation", "test")}
    keras.utils.set_random_seed(0)
    model = rival(len(dataset.classes), dataset.image_shape)
    deadline = Deadline(keras, time.monotonic() + seconds)
    history = model.fit(
        *splits["train"],
        batch_size=32,
        epochs=1000,
        validation_data=splits["validation"],
        callbacks=[deadline.callback],
        verbose=2,
    )
    model.set_weights(deadline.weights)
    images, labels = splits["test"]
    found = evaluate(labels, model.predict(images, batch_size=256, verbose=0), dataset.classes)
    return {
        # Time ran out in the last of them.
        "rival_epochs": len(history.history["loss"]),
        "rival_parameters": model.count_params(),
        "rival_validation_accuracy": deadline.best,
        "rival_test_accuracy": found.accuracy,
        "rival_test_interval": found.interval,
    }


def rival(classes: int, shape: tuple[int, int, int]) -> Any:
    """Three convolutions of 64, 256 and 512 filters, global pooling, two dense layers: 1.5 million weights."""
    import keras
    from keras import layers

    stack: list[Any] = [keras.Input(shape), layers.Rescaling(1 / 255)]
    for filters in (64, 256, 512):
        stack += [layers.Conv2D(filters, 3, padding="same"), layers.BatchNormalization()]
        stack += [layers.ReLU(), layers.MaxPooling2D(2), layers.Dropout(0.2)]
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(256, activation="relu")]
    stack += [layers.Dense(128, activation="relu"), layers.Dense(classes, activation="softmax")]
    model = keras.Sequential(stack)
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Deadline:
    """Keeps the weights of the best epoch, and ends training once time is up, in the middle of an epoch too."""

    def __init__(self, keras: Any, deadline: float) -> None:
        self.best, self.weights = 0.0, None
        outer = self

        class Callback(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.model.stop_training = time.monotonic() > deadline

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if logs["val_accuracy"] > outer.best:
                    outer.best, outer.weights = logs["val_accuracy"], self.model.get_weights()

        self.callback = Callback()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013, imported by `fer-ray data import`")
    parser.add_argument("--quick", action="store_true", help="two trials of one epoch")
    parser.add_argument("--keep", type=Path, help="keep the sweep and the registry in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        ours = run_sweep(options.data, options.keep or Path(temporary), options.quick)
    seconds = 60.0 if options.quick else ours["sweep_s"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.apply(train_rival, (options.data, seconds))
    machine = {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
    figures = {**ours, **theirs, "rival_s": seconds, "machine": machine}
    if not options.quick:
        (REPOSITORY / "benchmarks/results/fer2013.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
