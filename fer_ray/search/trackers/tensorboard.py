"""TensorBoard's event files, with its HParams page: `tensorboard --logdir sweeps/NAME/tensorboard`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from fer_ray.spaces import Values

_SECONDS_UNTIL_WRITTEN = 1


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
        """Opens the trial's folder and writes its hyperparameters, for the HParams page."""
        from tensorboardX import SummaryWriter
        from tensorboardX.summary import hparams

        if trial in self._writers:
            return
        # Its files are named by the second: without more, one that is opened in the same second empties another.
        # TensorBoard reads them in the order of their names.
        suffix = f".{time.time_ns()}"
        folder = str(self.folder / f"trial-{trial:05d}")
        # A thread writes them: its `flush` would leave behind what waits for the thread.
        writer = SummaryWriter(folder, filename_suffix=suffix, flush_secs=_SECONDS_UNTIL_WRITTEN)
        self._writers[trial] = writer
        # Without the description of all trials that comes with it: that would know the first one's alone, whose
        # conditional hyperparameters may be others. TensorBoard makes one of what it finds.
        _, start, _ = hparams(values, {})
        writer.file_writer.add_summary(start)

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes each metric as a scalar, on the disk within a second."""
        writer = self._writers[trial]
        for name, value in metrics.items():
            writer.add_scalar(name, value, epoch)

    def end(self, trial: int, values: Values, state: TrialState, best: float | None) -> None:
        """Writes the best value and how it ended."""
        writer = self._writers.pop(trial)
        if best is not None:
            writer.add_scalar(f"best/{self.metric}", best)
        writer.add_text("state", state.name)
        writer.file_writer.add_summary(_end(state))
        writer.close()

    def close(self) -> None:
        """Closes the folders of trials that are paused or were interrupted."""
        while self._writers:
            self._writers.popitem()[1].close()


def _end(state: TrialState) -> Any:
    """What the HParams page filters by; it knows no trials that were stopped early."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    status = Status.Value("STATUS_FAILURE" if state is TrialState.FAIL else "STATUS_SUCCESS")
    content = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=time.time()))
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    value = Summary.Value(tag="_hparams_/session_end_info", metadata=SummaryMetadata(plugin_data=plugin))
    return Summary(value=[value])
