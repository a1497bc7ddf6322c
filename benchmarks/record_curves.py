"""Learning curves of random configurations of the baseline space on FER2013, for `fer-ray sweep simulate`.

Each unit trains one configuration for nine epochs on one thread, on 10,000 training images at 24 pixels (means of
2 by 2), judged on the whole validation split, and appends one line to benchmarks/curves/fer2013_baseline.jsonl.
Units that have a line are skipped, so it may be ended and started again at any time. Seconds are the processor's,
which a busy machine does not stretch. At the end the lines are written as a Parquet table beside them.

With `--third` it trains the same configurations for three epochs on a third of the images instead, into
fer2013_baseline_third.jsonl, and says how well these cheap epochs rank: Spearman's correlation of the value after
each of them with the best of the nine full epochs, beside that of the full epochs, and what each costs of a full
one.

    python benchmarks/record_curves.py --data data/fer2013 [--configurations 72] [--third] [--quick]
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
THIRDS = LINES.with_stem(f"{LINES.stem}_third")
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
        images: Of them are trained on.
        epochs: Of each configuration.
    """

    def __init__(self, data: Path, images: int, epochs: int) -> None:
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
        train = (train[0][:images], train[1][:images])
        self.data = TrialData(train=train, validation=validation, classes=len(dataset.classes))
        self.epochs = epochs
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
        from fer_ray.training.trial import TrialConfig, Verdict, train

        config = TrialConfig(
            space_file=self.space_file,
            space=self.found.space,
            values=values,
            objective=self.objective,
            # Also where fewer are trained: schedules are those of a trial that goes on.
            max_epochs=EPOCHS,
            seed=number,
        )
        rows: list[dict[str, Any]] = []
        started = time.process_time()

        def report(row: dict[str, Any]) -> Verdict:
            seconds = round(time.process_time() - started, 2)
            rows.append({"seconds": seconds, **{name: row.get(name) for name in METRICS}})
            print(f"{number}: epoch {len(rows)}, {rows[-1]}", flush=True)
            return Verdict.CONTINUE if len(rows) < self.epochs else Verdict.STOP

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
    parser.add_argument("--third", action="store_true", help="three epochs on a third of the images")
    parser.add_argument("--quick", action="store_true", help="two configurations, kept nowhere")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from fer_ray.training.threads import limit_threads

    limit_threads(1)
    images, epochs = (TRAINING_IMAGES // 3, EPOCHS // 3) if options.third else (TRAINING_IMAGES, EPOCHS)
    recorder = Recorder(options.data, *((2_000, 2) if options.quick else (images, epochs)))
    lines = THIRDS if options.third else LINES
    lines.parent.mkdir(exist_ok=True)
    done = {line["configuration"] for line in read_lines(lines)}
    count = 2 if options.quick else options.configurations
    for number, values in enumerate(recorder.configurations(count)):
        if options.quick or number not in done:
            line = recorder.record(number, values)
            if options.quick:
                continue
            with lines.open("a") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
    figures: dict[str, Any] = {"configurations": count}
    if options.third and not options.quick:
        figures |= rank_correlations()
    elif not options.quick:
        figures["table"] = write_table(LINES, recorder.found.space).name
    print(json.dumps(figures))


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


def rank_correlations() -> dict[str, Any]:
    """How well early and cheap epochs rank the configurations, and what they cost."""
    from scipy.stats import spearmanr

    full = {line["configuration"]: line["epochs"] for line in read_lines(LINES)}
    third = {line["configuration"]: line["epochs"] for line in read_lines(THIRDS)}
    both = sorted(number for number in full.keys() & third.keys() if full[number] and third[number])
    best = [max(_value(row) for row in full[number]) for number in both]

    def correlation(curves: dict[int, Any], epoch: int) -> float:
        return round(float(spearmanr([_value(curves[n][epoch]) for n in both], best)[0]), 3)

    # Both times include building the model once.
    costs = [third[n][-1]["seconds"] / len(third[n]) * len(full[n]) / full[n][-1]["seconds"] for n in both]
    return {
        "compared": len(both),
        "spearman_full": [correlation(full, epoch) for epoch in range(EPOCHS // 3)],
        "spearman_third": [correlation(third, epoch) for epoch in range(EPOCHS // 3)],
        "cost_of_a_cheap_epoch": round(float(np.median(costs)), 3),
    }


def _value(row: dict[str, Any]) -> float:
    value = row["val_accuracy"]
    return -1.0 if value is None or not np.isfinite(value) else float(value)


if __name__ == "__main__":
    main()
