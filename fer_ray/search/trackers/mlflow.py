"""Runs in MLflow, one for each trial: in a file of the sweep's folder, or on a server."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from fer_ray.search.tracking_section import MLflowSection
from fer_ray.spaces import Values

SWEEP_TAG, TRIAL_TAG, STATE_TAG = "fer_ray.sweep", "fer_ray.trial", "fer_ray.state"
#: MLflow has no word for a trial that was stopped early; it shows its killed runs by a sign of their own.
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}
#: Unless the user's environment says otherwise. By default MLflow asks a server that is away for four minutes,
#: tells of each database and each run on the terminal, and reports its use to its makers.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MLflow:
    """Keeps a run for each trial; an epoch is a step.

    Args:
        section: Of the sweep file.
        sweep: The sweep's folder.
        identity: Tells the sweep's runs from those of others in the experiment.
        metric: The primary objective's.
    """

    name = "MLflow"

    def __init__(self, section: MLflowSection, sweep: Path, identity: str, metric: str) -> None:
        self.uri = section.uri or f"sqlite:///{sweep / 'mlflow.db'}"
        self.experiment = section.experiment or sweep.name
        # Of a store of its own the runs' files would lie in the working directory; a server knows where.
        self._artifacts = None if section.uri else (sweep / "mlflow-artifacts").as_uri()
        self.identity, self.metric = identity, metric
        self._client: Any = None
        self._experiment_id = ""
        self._runs: dict[int, str] = {}

    def begin(self, trial: int, values: Values) -> None:
        """Opens the trial's run, a new one if there is none."""
        if self._client is None:
            self._connect()
        from mlflow.entities import Param

        run = self._runs.get(trial) or self._find(trial)
        if run is None:
            tags = {SWEEP_TAG: self.identity, TRIAL_TAG: str(trial)}
            made = self._client.create_run(self._experiment_id, tags=tags, run_name=f"trial-{trial:05d}")
            run = made.info.run_id
        else:
            self._client.update_run(run, status="RUNNING")
        # Again, should the process have been killed before: the same values change nothing.
        self._client.log_batch(run, params=[Param(name, str(value)) for name, value in values.items()])
        self._runs[trial] = run

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics, in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        logged = [Metric(name, value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self._runs[trial], metrics=logged)

    def end(self, trial: int, values: Values, state: TrialState, best: float | None) -> None:
        """Logs the best value and the state, and ends the run."""
        run = self._runs.pop(trial)
        if best is not None:
            self._client.log_metric(run, f"best/{self.metric}", best)
        self._client.set_tag(run, STATE_TAG, state.name)
        self._client.set_terminated(run, _STATUS[state])

    def close(self) -> None:
        """Marks the runs of trials that are to go on when the sweep is resumed."""
        while self._runs:
            self._client.update_run(self._runs.popitem()[1], status="SCHEDULED")

    def _connect(self) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            self._experiment_id = client.create_experiment(self.experiment, self._artifacts)
        else:
            self._experiment_id = found.experiment_id
        self._client = client

    def _find(self, trial: int) -> str | None:
        """The run that an earlier process made."""
        tags = {SWEEP_TAG: self.identity, TRIAL_TAG: str(trial)}
        condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs([self._experiment_id], condition, max_results=1)
        return found[0].info.run_id if found else None
