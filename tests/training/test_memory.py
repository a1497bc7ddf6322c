"""A process that trains one trial after another keeps nothing of those that have ended."""

import gc
from pathlib import Path

import numpy as np
import pytest

from fer_ray.objective import Objective
from fer_ray.spaces import Space
from fer_ray.training.discovery import discover
from fer_ray.training.memory import free_model_memory
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialConfig, TrialData, train

pytestmark = pytest.mark.keras

SPACES = Path(__file__).parents[2] / "search_spaces"


@pytest.mark.parametrize(
    ("file", "arguments", "given"),
    [
        ("baseline.py", {"filters": [4], "blocks": [2, 2], "convolutions": [1, 1]}, {}),
        ("baseline.py", {"filters": [4], "blocks": [2, 2], "convolutions": [1, 1]}, {"activation": "swish"}),
        pytest.param(
            "transfer.py",
            {"backbones": ["mobilenet_v3_small"], "weights": "none", "input_sizes": [32]},
            {},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_nothing_is_kept_of_ended_trials(file, arguments, given):
    from tensorflow.python.eager import context

    random = np.random.default_rng(0)
    images = random.integers(0, 255, (64, 16, 16, 1), dtype=np.uint8)
    split = images, random.integers(0, 7, 64)
    data = TrialData(train=split, validation=split, classes=7)
    space_file = SpaceFile(path=SPACES / file, object=None, arguments=arguments, beside=SPACES)
    objective = Objective(metric="val_accuracy", mode="max")
    found = discover(space_file, data, objective=objective)
    values = Space.from_config(found.space).complete(given)

    def kept_after_a_trial(seed: int) -> tuple[int, int]:
        config = TrialConfig(
            space_file=space_file,
            space=found.space,
            values=values,
            objective=objective,
            max_epochs=2,
            seed=seed,
        )
        train(config, data, report=lambda row: None)
        free_model_memory()
        return len(gc.get_objects()), len(context.context().list_function_names())

    counts = [kept_after_a_trial(seed) for seed in range(5)]
    # A trial makes ten thousand objects and more, and dozens of functions.
    assert counts[4][0] - counts[1][0] < 2000
    assert counts[4][1] == counts[1][1]
