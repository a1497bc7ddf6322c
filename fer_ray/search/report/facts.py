"""What a report tells of a sweep, gathered from its folder, its study and the registry."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from fer_ray.data import open_dataset
from fer_ray.errors import FerRayError, SweepError
from fer_ray.filesystems import without_secrets
from fer_ray.registry import Manifest, Registry
from fer_ray.results.evaluation import Evaluation
from fer_ray.results.report.clock import Clock, read_clock
from fer_ray.results.report.course import Best
from fer_ray.search.folder import Outcome, SweepFolder
from fer_ray.search.result import SweepResult, load_result
from fer_ray.search.rows import duplicates
from fer_ray.search.storage import open_storage
from fer_ray.search.study import UNCOUNTED
from fer_ray.spaces import Space

#: States of a sweep that has more to do.
UNFINISHED = ("running", "killed", "interrupted")


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepFacts:
    """A sweep as its report sees it.

    Args:
        result: Its results.
        state: ``running``, ``killed``, or what ended its last run.
        trials, epochs: Its tables in pandas.
        clock: Its epochs in time.
        space: What was discovered; None if nothing was.
        data_name: Of the data set; the path in the sweep file if it is not there any more.
        fingerprint: Of the data set; None if no space was discovered.
        duplicates: (number, that of the trial that was trained) of proposals that were not trained again; None if
            the study cannot be reached.
        no_study: Why not; empty if it can.
        runs: What each run was made with.
        manifest: Of the registered winner; None if there is none.
        no_model: Why there is none, as a sentence; empty if there is one.
    """

    result: SweepResult
    state: str
    trials: pd.DataFrame
    epochs: pd.DataFrame
    clock: Clock
    space: Space | None
    data_name: str
    fingerprint: str | None
    duplicates: list[tuple[int, int]] | None
    no_study: str
    runs: list[dict[str, Any]]
    manifest: Manifest | None
    no_model: str

    @property
    def best(self) -> Best:
        """The best trial, which has not won while there is more to do."""
        best = self.result.best
        called = "best so far" if self.state in UNFINISHED else "winner"
        return Best(None if best is None else int(best["trial"]), called)

    @property
    def uncounted(self) -> pd.Series:
        """Of each trial whether it does not count against `max_trials`: nothing of it was trained."""
        return self.trials["failure"].isin(UNCOUNTED)

    @property
    def searching(self) -> float:
        """Seconds of searching, over all runs; of a run that has not ended, what its epochs tell."""
        outcome = self.last_run
        return outcome.seconds if outcome and outcome.seconds else self.clock.seconds

    @property
    def last_run(self) -> Outcome | None:
        """How it ended; None of a sweep that runs or was killed, whose outcome is the run's before."""
        return None if self.state in ("running", "killed") else self.result.outcome

    @property
    def evaluation(self) -> Evaluation | None:
        """Of the registered winner on the test split, if it was recorded with its protocol."""
        score = self.manifest.metrics.get("test") if self.manifest else None
        if score is None or not score.protocol:
            return None
        values = score.model_dump()
        values.pop("engine", None)
        try:
            return Evaluation.from_dict(values)
        except (KeyError, TypeError):  # registered by another tool, with fewer numbers
            return None


def read_facts(folder: SweepFolder) -> SweepFacts:
    """Gathers what is known of a sweep.

    Raises:
        SweepError: If its tables lack epochs and its study cannot be reached.
    """
    result = load_result(folder.path)
    discovered = folder.read_discovery()
    manifest, no_model = _manifest(result)
    repeated, no_study = _duplicates(result)
    trials, epochs = result.trials.to_pandas(), result.epochs.to_pandas()
    return SweepFacts(
        result=result,
        state=_state(folder, result),
        trials=trials,
        epochs=epochs,
        clock=read_clock(epochs, trials),
        space=Space.from_config(discovered["space"]) if discovered else None,
        data_name=manifest.data.name if manifest else _data_name(result),
        fingerprint=discovered["data"] if discovered else None,
        duplicates=repeated,
        no_study=no_study,
        runs=folder.read_runs(),
        manifest=manifest,
        no_model=no_model,
    )


def _state(folder: SweepFolder, result: SweepResult) -> str:
    if folder.is_running():
        return "running"
    return result.outcome.ended if result.outcome else "killed"


def _duplicates(result: SweepResult) -> tuple[list[tuple[int, int]] | None, str]:
    try:
        return duplicates(result.spec, open_storage(result.spec)), ""
    except SweepError as error:
        return None, str(error)


def _data_name(result: SweepResult) -> str:
    try:
        return open_dataset(result.spec.data).name
    except FerRayError:
        return without_secrets(result.spec.data)


def _manifest(result: SweepResult) -> tuple[Manifest | None, str]:
    outcome, model = result.outcome, result.spec.model
    if outcome is None or outcome.model is None:
        if not model.register_winner:
            return (
                None,
                "The sweep file asks for no registered winner, so nothing was evaluated on the test split.",
            )
        return None, "No winner is registered yet: test is evaluated once, when a sweep has come to its end."
    try:
        return Registry(model.registry).resolve(outcome.model).manifest, ""
    except FerRayError as error:
        return None, f"The registered winner {outcome.model} cannot be read. {error}"
