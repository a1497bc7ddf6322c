"""Trains one trial: builds the model, runs `HyperModel.fit`, reports each epoch, keeps checkpoints."""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import FailedTrialError, InfeasibleModelError, StorageError
from fer_ray.objective import LATENCY, PARAMETERS, Objective
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.measures import Latency, check_constraint, measure_latency, parameters_of
from fer_ray.training.space_file import SpaceFile

if TYPE_CHECKING:
    from fer_ray.training.epochs import EpochLoop

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]

#: What makes text bold or coloured on a terminal: Keras's messages have it.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Verdict(StrEnum):
    """What the reporter answers after an epoch; None means the same as `CONTINUE`."""

    CONTINUE = "continue"
    STOP = "stop"


class TrialStopped(Exception):
    """Ends a `fit` that goes on after it was told to stop, as loops of a user's own may."""


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

    def part(self, train: int, validation: int) -> "TrialData":
        """The first so many images of each split; more where that leaves out a class."""
        return TrialData(
            train=_some(train, *self.train),
            validation=_some(validation, *self.validation),
            classes=self.classes,
        )


def _some(count: int, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    _, firsts = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(labels)), firsts)[: max(count - len(firsts), 0)]
    chosen = np.concatenate([firsts, others])
    return images[chosen], labels[chosen]


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One configuration and how to train it.

    Args:
        space_file: Where the hypermodel is defined.
        space: The space as `HyperParameters.get_config()` gives it.
        values: The active hyperparameters.
        objective: What makes an epoch the best one.
        further: Other objectives, which each epoch has to report too.
        constraints: Largest allowed value of a measure, `parameters` or `latency_ms`.
        max_epochs: Handed to `fit` as `epochs`, whatever epoch training stops or resumes at.
        seed: Of Python, NumPy and Keras.
        precision: A Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
        checkpoint_epochs: Epochs (from 1) after which a checkpoint is written.
        checkpoint_seconds: Longest time between two checkpoints.
        resumable: Whether the space's `fit` honours `initial_epoch`; without, training starts over.
    """

    space_file: SpaceFile
    space: dict[str, Any]
    values: dict[str, Any]
    objective: Objective
    max_epochs: int
    further: tuple[Objective, ...] = ()
    constraints: dict[str, float] = field(default_factory=dict)
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
    latency: Latency | None = None,
) -> None:
    """Trains a configuration until `max_epochs`, the reporter's `STOP`, or the end of its own `fit`.

    If `checkpoints` holds one, training goes on from there as if it had never stopped.

    Args:
        config: What to train.
        data: What to train on.
        report: Called after each epoch, after the epoch's checkpoint was written.
        checkpoints: Where checkpoints go; None keeps none.
        latency: Measures the model before it trains, once in a trial's life; None for no measurement.

    Raises:
        InfeasibleModelError: If the model cannot be built, or breaks a constraint: then nothing is trained.
        FailedTrialError: If `fit` raises, or an objective is not among an epoch's metrics.
        StorageError: If a checkpoint cannot be written.
    """
    from fer_ray.training.epochs import EpochLoop

    kept = checkpoints.load() if checkpoints and (config.resumable or latency) else None
    resumed = kept if config.resumable else None
    if resumed:
        # Reported again, since a kill may have come between the checkpoint and its report.
        verdict = report(resumed.result)
        if verdict is Verdict.STOP or resumed.epoch >= config.max_epochs:
            return
    hp = hyperparameters_of(config)
    measures = {LATENCY: kept.result[LATENCY]} if kept and LATENCY in kept.result else {}
    if latency is not None and not measures:
        measures[LATENCY] = _measured_latency(config, data, hp, latency)
    loop = EpochLoop(config, data, report=report, checkpoints=checkpoints, resumed=resumed, measures=measures)
    run_epochs(config, data, loop, hp)


def _measured_latency(config: TrialConfig, data: TrialData, hp: Any, latency: Latency) -> float:
    """Of a model of its own: in float32, as it is served, and training's random numbers stay as they are."""
    with _session(config.seed, "float32"):
        model = build_model(config.space_file.load(data.classes, data.input_shape), hp)
        return measure_latency(model, data, latency, config.constraints)


def run_epochs(config: TrialConfig, data: TrialData, loop: "EpochLoop", hp: Any) -> None:
    """Builds the model and runs `fit` under a loop, in a clean and seeded Keras session.

    Raises:
        InfeasibleModelError: If the model cannot be built or has too many parameters.
        FailedTrialError: If `fit` raises or breaks a rule of the loop.
    """
    with _session(config.seed, config.precision):
        hypermodel = config.space_file.load(data.classes, data.input_shape)
        model = build_model(hypermodel, hp)
        if PARAMETERS in config.constraints:
            check_constraint(config.constraints, PARAMETERS, parameters_of(model, data))
        loop.observe(model)
        loop.close(model, _fit(hypermodel, hp, model, data, loop, config.max_epochs))


@contextmanager
def _session(seed: int, precision: str) -> Iterator[None]:
    """A clean and seeded Keras session."""
    import keras

    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.utils.clear_session(free_memory=False)


def hyperparameters_of(config: TrialConfig) -> Any:
    """Keras Tuner's `HyperParameters` with the configuration's space and values."""
    import keras_tuner

    return keras_tuner.HyperParameters.from_config(
        {"space": copy.deepcopy(config.space["space"]), "values": dict(config.values)}
    )


def build_model(hypermodel: Any, hp: Any) -> Any:
    """Builds the Keras model of a configuration.

    Raises:
        InfeasibleModelError: If `build` raises, or returns no Keras model.
    """
    import keras

    try:
        model = hypermodel.build(hp)
    except FailedTrialError:
        raise
    except Exception as error:
        raise InfeasibleModelError("build", "must return a model", one_line(error)) from error
    if not isinstance(model, keras.Model):
        raise InfeasibleModelError("build", "must return a Keras model", type(model).__name__)
    return model


def _fit(hypermodel: Any, hp: Any, model: Any, data: TrialData, loop: "EpochLoop", max_epochs: int) -> Any:
    # Keras Tuner's searchers name it only to go on with a trial, and a `fit` written for them may not take it.
    resumed = {"initial_epoch": loop.initial_epoch} if loop.initial_epoch else {}
    try:
        return hypermodel.fit(
            hp,
            model,
            *data.train,
            validation_data=data.validation,
            epochs=max_epochs,
            callbacks=[loop.callback],
            **resumed,
        )
    except TrialStopped:
        return None
    except (FailedTrialError, StorageError):
        raise
    except Exception as error:
        raise FailedTrialError("fit", "must train the model", one_line(error)) from error


def one_line(error: BaseException) -> str:
    """The error's type and the beginning of its text: a reason for a table, not a traceback."""
    text = " ".join(_STYLE.sub("", str(error)).split())
    return f"{type(error).__name__}: {text[:300]}"
