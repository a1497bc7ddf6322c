"""Trains trials straight through, and the same trials up to a pause; a second process goes on with those.

    python exact_resume.py straight|resumed FOLDER

Run by test_trial.py. Under FOLDER/<scenario>/straight and .../paused it leaves every epoch's checkpoint
(kept/) and the metrics of the epochs that each process trained (<part>.json).
"""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fer_ray.objective import Objective
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.threads import limit_threads
from fer_ray.training.trial import TrialConfig, TrialData, Verdict, train

HERE = Path(__file__).parent
SHIPPED = HERE.parent.parent / "search_spaces"
EPOCHS = 6


@dataclass
class Scenario:
    """A trial and the epochs after which it is paused; it is resumed after each."""

    file: Path
    pauses: tuple[int, ...]
    values: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    precision: str = "float32"
    side: int = 24


LIVELY = {"augment": True, "conv_dropout": 0.2, "head_dropout": 0.4, "class_weight": "sqrt", "batch_size": 8}
TINY = {"filters": [4], "batch_sizes": [8]}
SCENARIOS = {
    "baseline": Scenario(SHIPPED / "baseline.py", (3,), {**LIVELY, "optimizer": "adamw"}, TINY),
    "mixed": Scenario(
        SHIPPED / "baseline.py",
        (3,),
        {**LIVELY, "erase": 0.5, "mixup": 0.4, "schedule": "plateau", "optimizer": "sgd"},
        TINY,
    ),
    # The head trains for three epochs: paused in that phase, at its end, and in the next phase.
    "transfer": Scenario(
        SHIPPED / "transfer.py",
        (2, 3, 4),
        {**LIVELY, "head_epochs": 3, "trainable_blocks": "2", "learning_rate": 1e-3},
        {"backbones": ["squeezenet"], "weights": "none", "input_sizes": [48], "batch_sizes": [8]},
    ),
    "watchful": Scenario(HERE / "spaces" / "watchful.py", (3,)),
    "bfloat16": Scenario(HERE / "spaces" / "watchful.py", (3,), precision="mixed_bfloat16"),
    # Keras wraps its optimizer, to scale the loss.
    "float16": Scenario(HERE / "spaces" / "watchful.py", (3,), precision="mixed_float16"),
}


def faces(n: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright band whose height tells the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = generator.integers(0, 160, (n, side, side, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label * side // 3 : (label + 1) * side // 3] += 90
    return images, labels.astype(np.int64)


def run(scenario: Scenario, folder: Path, pause: int | None) -> list[dict]:
    """Trains until `pause` or the end, from the checkpoint if there is one; the metrics of these epochs."""
    data = TrialData(train=faces(20, scenario.side, 1), validation=faces(9, scenario.side, 2), classes=3)
    checkpoints = CheckpointFolder(folder / "checkpoints")
    epochs = []

    def report(metrics: dict) -> Verdict:
        (folder / "kept").mkdir(exist_ok=True)
        name = f"epoch-{metrics['epoch']:05d}.npz"
        shutil.copy(folder / "checkpoints" / name, folder / "kept" / name)
        epochs.append({key: value for key, value in metrics.items() if key != "seconds"})
        return Verdict.STOP if metrics["epoch"] == pause else Verdict.CONTINUE

    config = TrialConfig(
        space_file=SpaceFile(path=scenario.file, arguments=scenario.arguments),
        space={"space": []},
        values=scenario.values,
        objective=Objective(metric="val_accuracy", mode="max"),
        max_epochs=EPOCHS,
        seed=11,
        precision=scenario.precision,
        checkpoint_epochs=frozenset(range(1, EPOCHS + 1)),
    )
    train(config, data, report=report, checkpoints=checkpoints)
    return epochs


def main(part: str, folder: Path) -> None:
    """Runs one half of the work."""
    limit_threads(1)
    for name, scenario in SCENARIOS.items():
        first, *later = scenario.pauses
        paused = folder / name / "paused"
        if part == "straight":
            straight = run(scenario, folder / name / "straight", None)
            (folder / name / "straight" / "straight.json").write_text(json.dumps(straight))
            epochs = run(scenario, paused, first)
        else:
            # The first epoch told is the last one before the pause, again.
            epochs = [epoch for pause in (*later, None) for epoch in run(scenario, paused, pause)[1:]]
        (paused / f"{part}.json").write_text(json.dumps(epochs))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
