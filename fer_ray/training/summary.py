"""What a space holds: its hyperparameters, its size, and how large its models are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from fer_ray.errors import InfeasibleModelError
from fer_ray.objective import Objective
from fer_ray.progress import Progress, no_progress
from fer_ray.spaces import Space
from fer_ray.spaces.optuna_bridge import suggest
from fer_ray.training.discovery import discover
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialConfig, TrialData, build_model, hyperparameters_of


@dataclass(frozen=True, kw_only=True)
class SpaceSummary:
    """A space as it was found.

    Args:
        space: All hyperparameters.
        metrics: What an epoch reports.
        not_resumable: Why trials cannot go on from a checkpoint; None if they can.
        parameters: Parameter counts of the sampled models that could be built, smallest first.
        infeasible: Reasons why the others could not.
    """

    space: Space
    metrics: tuple[str, ...]
    not_resumable: str | None
    parameters: list[int]
    infeasible: list[str]


def summarise(
    space_file: SpaceFile,
    *,
    classes: int,
    input_shape: tuple[int, int, int],
    samples: int = 20,
    seed: int = 0,
    progress: Progress = no_progress,
) -> SpaceSummary:
    """Discovers a space and builds random models of it.

    Args:
        space_file: The space.
        classes: Number of classes to build for.
        input_shape: (height, width, channels) to build for.
        samples: Models to build.
        seed: Of their choice.
        progress: Told of builds.

    Raises:
        SpaceError: If the space cannot be loaded or its default configuration cannot be trained.
    """
    data = _noise(classes, input_shape)
    objective = Objective(metric="val_loss", mode="min")
    found = discover(space_file, data, objective=objective, progress=progress)
    space = Space.from_config(found.space)
    parameters, infeasible = [], list(found.infeasible)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for sample in range(samples):
        progress("building sampled models", sample, samples)
        values = suggest(space, study.ask())
        config = TrialConfig(
            space_file=space_file, space=found.space, values=values, objective=objective, max_epochs=1
        )
        try:
            parameters.append(_count(config, data))
        except InfeasibleModelError as error:
            infeasible.append(str(error))
    progress("building sampled models", samples, samples)
    return SpaceSummary(
        space=space,
        metrics=found.metrics,
        not_resumable=found.not_resumable,
        parameters=sorted(parameters),
        infeasible=infeasible,
    )


def _count(config: TrialConfig, data: TrialData) -> int:
    import keras

    hypermodel: Any = config.space_file.load(data.classes, data.input_shape)
    try:
        return int(build_model(hypermodel, hyperparameters_of(config)).count_params())
    finally:
        keras.utils.clear_session(free_memory=False)


def _noise(classes: int, input_shape: tuple[int, int, int]) -> TrialData:
    """Images of nothing: enough to see what a space asks for."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2 * classes, *input_shape), np.uint8)
    labels = np.arange(2 * classes) % classes
    return TrialData(train=(images, labels), validation=(images, labels), classes=classes)
