"""Runs in Weights & Biases, one for each trial, grouped by sweep; offline ones for `wandb sync`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from fer_ray.search.tracking_section import WandbSection
from fer_ray.spaces import Values


class WeightsAndBiases:
    """Keeps a run for each trial; an epoch is a step.

    Args:
        section: Of the sweep file.
        sweep: The sweep's folder.
        identity: Tells the sweep's runs from those of others in the project.
        metric: The primary objective's.
    """

    name = "Weights & Biases"

    def __init__(self, section: WandbSection, sweep: Path, identity: str, metric: str) -> None:
        self.section, self.sweep, self.identity, self.metric = section, sweep, identity, metric
        self._runs: dict[int, Any] = {}

    def begin(self, trial: int, values: Values) -> None:
        """Opens the trial's run, under the id that it had before the sweep was resumed."""
        if trial in self._runs:
            return
        # Faults of its own it would report to its makers.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        settings = wandb.Settings(
            # What the driver prints and uses says nothing of a trial, which trains elsewhere.
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            symlink=False,
            x_disable_stats=True,
        )
        self._runs[trial] = wandb.init(
            project=self.section.project,
            entity=self.section.entity,
            mode=self.section.mode,
            dir=str(self.sweep),
            id=f"{self.identity}-{trial:05d}",
            name=f"trial-{trial:05d}",
            group=self.sweep.name,
            config={**values, "trial": trial},
            resume="allow",
            # Trials train side by side; there is no current run.
            reinit="create_new",
            settings=settings,
        )

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics."""
        self._runs[trial].log(dict(metrics), step=epoch)

    def end(self, trial: int, values: Values, state: TrialState, best: float | None) -> None:
        """Writes the best value and the state into the summary, and ends the run."""
        run = self._runs.pop(trial)
        reached = {} if best is None else {f"best/{self.metric}": best}
        run.summary.update({**reached, "state": state.name})
        run.finish(exit_code=int(state is TrialState.FAIL))

    def close(self) -> None:
        """Ends the runs of trials that are paused or were interrupted, until the sweep is resumed."""
        while self._runs:
            self._runs.popitem()[1].finish()
