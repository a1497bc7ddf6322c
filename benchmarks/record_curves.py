"""Learning curves of random configurations of the baseline space on FER2013, for `fer-ray sweep simulate`.

Each unit trains one configuration for nine epochs on one thread, on 10,000 training images at 24 pixels (means of
2 by 2), judged on the whole validation split, and appends one line to benchmarks/curves/fer2013_baseline.jsonl.
Units that have a line are skipped, so it may be ended and started again at any time. Seconds are the processor's,
which a busy machine does not stretch. At the end the lines are written as a Parquet table beside them.

    python benchmarks/record_curves.py --data data/fer2013 [--configurations 72] [--quick]
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
LINES = HERE / "curves/fer2013_baseline.jsonl"
EPOCHS = 9
TRAINING_IMAGES = 10_000
METRICS = ("val_accuracy", "val_macro_f1", "val_loss")


def halved(images: Any) -> Any:
    """uint8 (N, H, W, C) to half the height and width: means of 2 by 2 pixels."""
    count, height, width, channels = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    return np.round(blocks.mean((2, 4), dtype=np.float32)).astype(np.uint8)


class Recorder:
    """Trains configurations and keeps their curves.

    Args:
        data: The data set.
        quick: Two epochs on 2,000 images.
    """

    def __init__(self, data: Path, quick: bool) -> None:
        from fer_ray.data import open_dataset
        from fer_ray.objective import Objective
        from fer_ray.spaces import Space
        from fer_ray.training.discovery import discover
        from fer_ray.training.space_file import SpaceFile
        from fer_ray.training.trial import TrialData

        dataset = open_dataset(data)
        splits = [dataset.load(split) for split in ("train", "validation")]
        train, validation = ((halved(images), labels) for images, labels in splits)
        # The splits are shuffled, so the first images are any.
        most = 2_000 if quick else TRAINING_IMAGES
        train = (train[0][:most], train[1][:most])
        self.data = TrialData(train=train, validation=validation, classes=len(dataset.classes))
        self.epochs = 2 if quick else EPOCHS
        # Narrow, so that an epoch takes seconds; a fifth block would leave nothing of 24 pixels.
        arguments = {"filters": [8, 12, 16], "blocks": [3, 4]}
        path = HERE.parent / "search_spaces/baseline.py"
        self.space_file = SpaceFile(path=path, object=None, arguments=arguments, beside=path.parent)
        self.objective = Objective(metric="val_accuracy", mode="max")
        self.found = discover(self.space_file, self.data, objective=self.objective)
        self.space = Space.from_config(self.found.space)

    def configurations(self, count: int) -> list[dict[str, Any]]:
        """Random ones, always the same."""
        import optuna

        from fer_ray.spaces.optuna_bridge import suggest

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2026))
        return [suggest(self.space, study.ask()) for _ in range(count)]

    def record(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        """One unit."""
        from fer_ray.errors import FailedTrialError
        from fer_ray.training.trial import TrialConfig, train

        config = TrialConfig(
            space_file=self.space_file,
            space=self.found.space,
            values=values,
            objective=self.objective,
            max_epochs=self.epochs,
            seed=number,
        )
        rows: list[dict[str, Any]] = []
        started = time.process_time()

        def report(row: dict[str, Any]) -> None:
            seconds = round(time.process_time() - started, 2)
            rows.append({"seconds": seconds, **{name: row.get(name) for name in METRICS}})
            print(f"{number}: epoch {len(rows)}, {rows[-1]}", flush=True)

        line: dict[str, Any] = {"configuration": number, "hyperparameters": values}
        try:
            train(config, self.data, report=report)
        except FailedTrialError as error:
            line["failed"] = str(error)
        return {**line, "epochs": rows}


def write_table(lines: Path, space: dict[str, Any]) -> Path:
    """The lines as `fer-ray sweep simulate` reads them: one row per configuration and epoch."""
    from fer_ray.search.curves import write_curves

    rows = []
    for text in lines.read_text().splitlines():
        line = json.loads(text)
        values = {f"hp.{name}": value for name, value in line["hyperparameters"].items()}
        for epoch, row in enumerate(line["epochs"], start=1):
            rows.append({"configuration": line["configuration"], "epoch": epoch, **row, **values})
    path = lines.with_suffix(".parquet")
    write_curves(path, rows, space)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013, imported by `fer-ray data import`")
    parser.add_argument("--configurations", type=int, default=72)
    parser.add_argument("--quick", action="store_true", help="two configurations, kept nowhere")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from fer_ray.training.threads import limit_threads

    limit_threads(1)
    recorder = Recorder(options.data, options.quick)
    LINES.parent.mkdir(exist_ok=True)
    done = (
        {json.loads(text)["configuration"] for text in LINES.read_text().splitlines()}
        if LINES.exists()
        else set()
    )
    count = 2 if options.quick else options.configurations
    for number, values in enumerate(recorder.configurations(count)):
        if options.quick or number not in done:
            line = recorder.record(number, values)
            if options.quick:
                continue
            with LINES.open("a") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
    figures = {
        "configurations": count,
        "table": None if options.quick else str(write_table(LINES, recorder.found.space).name),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
