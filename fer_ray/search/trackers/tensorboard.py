"""TensorBoard's event files, with its HParams page: `tensorboard --logdir sweeps/NAME/tensorboard`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from fer_ray.spaces import Values


class TensorBoard:
    """Writes a folder of events for each trial; an epoch is a step.

    Args:
        folder: For all of them.
        metric: The primary objective's.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, metric: str) -> None:
        self.folder, self.metric = folder, metric
        self._writers: dict[int, Any] = {}

    def begin(self, trial: int, values: Values) -> None:
        """Opens the trial's folder."""
        from tensorboardX import SummaryWriter

        if trial not in self._writers:
            # Its files are named by the second: without more, one that is opened in the same second empties
            # another. TensorBoard reads them in the order of their names.
            suffix = f".{time.time_ns()}"
            self._writers[trial] = SummaryWriter(
                str(self.folder / f"trial-{trial:05d}"), filename_suffix=suffix
            )

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes each metric as a scalar, on the disk before it returns."""
        writer = self._writers[trial]
        for name, value in metrics.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    def end(self, trial: int, values: Values, state: TrialState, best: float | None) -> None:
        """Writes hyperparameters and the best value for the HParams page."""
        writer = self._writers.pop(trial)
        reached = {} if best is None else {f"best/{self.metric}": best}
        # Into the trial's own folder: a run of its own would stand beside the trial in every chart.
        writer.add_hparams({"state": state.name, **values}, reached, name=".")
        writer.close()

    def close(self) -> None:
        """Closes the folders of trials that are paused or were interrupted."""
        while self._writers:
            self._writers.popitem()[1].close()
