"""How fast a configuration trains, from a few short epochs on a part of the data; imports no Keras until then."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from fer_ray.objective import MODEL_MEASURES
from fer_ray.training.checkpoint import Checkpoint, CheckpointFolder
from fer_ray.training.memory import free_model_memory
from fer_ray.training.trial import TrialConfig, TrialData, Verdict, hyperparameters_of, run_epochs

#: A power of two, as most batch sizes are, so that few images are left over.
_FIRST_IMAGES = 256
#: An epoch is long enough to be measured.
_LONG_ENOUGH = 1.0
#: An epoch that is made longer shall take so long.
_SECONDS = 2.0
#: The first one traces the model's steps.
_EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What one configuration costs on the machine where it was measured.

    Args:
        start: Seconds of building the model and tracing its steps.
        first_epoch: Seconds of an epoch on all images, validation included, when training begins.
        last_epoch: The same when it ends: a `fit` of several phases may then train more of the model.
        checkpoint_seconds: Of writing a checkpoint.
        checkpoint_mb: Its size, in megabytes.
        parameters: Of the model.
    """

    start: float
    first_epoch: float
    last_epoch: float
    checkpoint_seconds: float
    checkpoint_mb: float
    parameters: int

    def epochs(self, max_epochs: int) -> list[float]:
        """Seconds of each epoch: from the first's to the last's in equal steps, since phases are not known."""
        step = (self.last_epoch - self.first_epoch) / max(max_epochs - 1, 1)
        return [self.first_epoch + step * epoch for epoch in range(max_epochs)]


def measure_pace(config: TrialConfig, data: TrialData, folder: Path) -> Pace:
    """Trains three epochs on 256 images, on more where that is too short to be measured, and the last epochs.

    Args:
        config: The configuration, and how it would be trained.
        data: All of it.
        folder: Where checkpoints are written, of this configuration alone.

    Raises:
        InfeasibleModelError: If the model cannot be built, or has more parameters than allowed.
        FailedTrialError: If `fit` raises, or the objective is not among an epoch's metrics.
    """
    reported = tuple(goal for goal in config.further if goal.metric not in MODEL_MEASURES)
    config = replace(config, max_epochs=max(config.max_epochs, _EPOCHS), further=reported)
    images = len(data.train[0])
    part = min(_FIRST_IMAGES, images)
    early = _train(config, _share(data, part), folder, first=0)
    if early.epoch < _LONG_ENOUGH and part < images:
        part = min(part * round(_SECONDS / early.epoch), images)
        early = _train(config, _share(data, part), folder, first=0)
    late = early
    if config.resumable and config.max_epochs >= 2 * _EPOCHS:
        late = _train(config, _share(data, part), folder, first=config.max_epochs - _EPOCHS)
    # In proportion: an epoch's own cost, small beside a long enough one, counts for each image too.
    first_epoch = early.epoch * images / early.images
    return Pace(
        start=max(early.start, late.start),
        first_epoch=first_epoch,
        last_epoch=first_epoch * late.epoch / early.epoch,
        checkpoint_seconds=late.checkpoint_seconds,
        checkpoint_mb=late.checkpoint_mb,
        parameters=late.parameters,
    )


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """A few epochs on some images: seconds until the first one could train, and of one."""

    images: int
    start: float
    epoch: float
    checkpoint_seconds: float
    checkpoint_mb: float
    parameters: int


class _TimedCheckpoints(CheckpointFolder):
    """Measures what it writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seconds: list[float] = []
        self.mb = 0.0

    def save(self, checkpoint: Checkpoint) -> None:
        started = time.monotonic()
        super().save(checkpoint)
        self.seconds.append(time.monotonic() - started)
        self.mb = max(file.stat().st_size for file in self.path.iterdir()) / 1e6


def _train(config: TrialConfig, data: TrialData, folder: Path, *, first: int) -> _Stretch:
    from fer_ray.training.epochs import EpochLoop

    free_model_memory()  # Of the former stretch.
    reports: list[dict[str, Any]] = []
    times: list[float] = []

    def report(metrics: dict[str, Any]) -> Verdict:
        reports.append(metrics)
        times.append(time.monotonic())
        return Verdict.CONTINUE if len(reports) < _EPOCHS else Verdict.STOP

    checkpoints = _TimedCheckpoints(folder)
    started = time.monotonic()
    loop = EpochLoop(config, data, report=report, checkpoints=checkpoints, resumed=None)
    loop.initial_epoch = loop.epoch = first
    run_epochs(config, data, loop, hyperparameters_of(config))
    # A `fit` that reports once, at its end, has trained all epochs by then; building counts among them.
    trained = reports[0]["epoch"] - first
    later = [row["seconds"] for row in reports[1:]]
    epoch = max(fmean(later) if later else (times[0] - started) / trained, 1e-6)
    return _Stretch(
        images=len(data.train[0]),
        start=max(times[0] - started - trained * epoch - sum(checkpoints.seconds[:1]), 0.0),
        epoch=epoch,
        checkpoint_seconds=median(checkpoints.seconds or [0.0]),
        checkpoint_mb=checkpoints.mb,
        parameters=reports[-1].get("parameters", 0),
    )


def _share(data: TrialData, train: int) -> TrialData:
    """A part of the training images, and as large a part of the validation images."""
    share = train / len(data.train[0])
    return data.part(train, round(share * len(data.validation[0])))
