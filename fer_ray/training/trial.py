"""Trains one trial: builds the model, runs `HyperModel.fit`, reports each epoch, keeps checkpoints."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import FailedTrialError, InfeasibleModelError
from fer_ray.objective import Objective
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.space_file import SpaceFile

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Verdict(StrEnum):
    """What the reporter answers after an epoch; None means the same as `CONTINUE`."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class TrialData:
    """What a trial trains and is judged on; the arrays may be read-only views.

    Args:
        train, validation: Images uint8 (N, H, W, C) and integer labels (N,).
        classes: Number of classes K.
    """

    train: Split
    validation: Split
    classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.train[0].shape[1:]
        return height, width, channels


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One configuration and how to train it.

    Args:
        space_file: Where the hypermodel is defined.
        space: The space as `HyperParameters.get_config()` gives it.
        values: The active hyperparameters.
        objective: What makes an epoch the best one.
        max_epochs: Handed to `fit` as `epochs`, whatever epoch training stops or resumes at.
        seed: Of Python, NumPy and Keras.
        precision: A Keras dtype policy, ``float32`` or ``mixed_bfloat16``.
        checkpoint_epochs: Epochs (from 1) after which a checkpoint is written.
        checkpoint_seconds: Longest time between two checkpoints.
        resumable: Whether the space's `fit` honours `initial_epoch`; without, training starts over.
    """

    space_file: SpaceFile
    space: dict[str, Any]
    values: dict[str, Any]
    objective: Objective
    max_epochs: int
    seed: int = 0
    precision: str = "float32"
    checkpoint_epochs: frozenset[int] = field(default_factory=frozenset)
    checkpoint_seconds: float = 300.0
    resumable: bool = True


#: Called after each epoch with its metrics, `epoch` (from 1) and `seconds`.
Report = Callable[[dict[str, Any]], Verdict | None]


def train(
    config: TrialConfig,
    data: TrialData,
    *,
    report: Report,
    checkpoints: CheckpointFolder | None = None,
) -> None:
    """Trains a configuration until `max_epochs`, the reporter's `STOP`, or the end of its own `fit`.

    If `checkpoints` holds one, training goes on from there as if it had never stopped.

    Args:
        config: What to train.
        data: What to train on.
        report: Called after each epoch, after the epoch's checkpoint was written.
        checkpoints: Where checkpoints go; None keeps none.

    Raises:
        InfeasibleModelError: If the model cannot be built.
        FailedTrialError: If `fit` raises, or the objective is not among an epoch's metrics.
    """
    import keras

    from fer_ray.training.epochs import EpochLoop

    resumed = checkpoints.load() if checkpoints and config.resumable else None
    if resumed and resumed.epoch >= config.max_epochs:
        return
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    try:
        hp, hypermodel, model = build_model(config, data)
        loop = EpochLoop(config, data, report=report, checkpoints=checkpoints, resumed=resumed)
        loop.observe(model)
        outcome = _fit(hypermodel, hp, model, data, loop, config.max_epochs)
        loop.close(outcome)
    finally:
        keras.config.set_dtype_policy("float32")
        keras.utils.clear_session(free_memory=False)
        gc.collect()


def build_model(config: TrialConfig, data: TrialData) -> tuple[Any, Any, Any]:
    """Builds the model of a configuration.

    Returns:
        The `HyperParameters`, the `HyperModel` and the compiled Keras model.

    Raises:
        InfeasibleModelError: If `build` raises.
    """
    import keras_tuner

    hypermodel = config.space_file.load(data.classes, data.input_shape)
    hp = keras_tuner.HyperParameters.from_config({"space": config.space["space"], "values": config.values})
    try:
        return hp, hypermodel, hypermodel.build(hp)
    except Exception as error:
        raise InfeasibleModelError("build", "must return a model", _one_line(error)) from error


def _fit(hypermodel: Any, hp: Any, model: Any, data: TrialData, loop: Any, max_epochs: int) -> Any:
    try:
        return hypermodel.fit(
            hp,
            model,
            *data.train,
            validation_data=data.validation,
            epochs=max_epochs,
            initial_epoch=loop.initial_epoch,
            callbacks=[loop.callback],
        )
    except FailedTrialError:
        raise
    except Exception as error:
        raise FailedTrialError("fit", "must train the model", _one_line(error)) from error


def _one_line(error: Exception) -> str:
    """The error's type and the first lines of its text: a reason for a table, not a traceback."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
