"""A sweep as its folder shows it, while any process on any machine runs it."""

import math
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fer_ray.errors import SweepError
from fer_ray.objective import Mode
from fer_ray.results.journal import EpochJournal
from fer_ray.search.folder import SweepFolder, journal_path
from fer_ray.search.history import History
from fer_ray.search.live import Live, Work, read_live
from fer_ray.search.rows import epoch_rows, study_trials
from fer_ray.search.rungs import Decision
from fer_ray.search.storage import open_storage
from fer_ray.search.study import UNCOUNTED

_ENDED = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """One trial.

    Args:
        number: Optuna's.
        state: ``running``, ``waiting`` (for a worker, or for the sweep to be resumed), ``paused``, ``finished``,
            ``stopped``, ``failed``, or why it does not count: ``infeasible``, ``duplicate`` or ``cut short``.
        values: The primary objective after each epoch; NaN where an epoch had none.
        best: The best of them; None before any.
        worker: That trained it last; None before its first epoch.
    """

    number: int
    state: str
    values: tuple[float, ...]
    best: float | None
    worker: str | None


@dataclass(frozen=True, kw_only=True)
class RungView:
    """How many trials have trained up to a rung's epoch, and how many beyond it."""

    epoch: int
    reached: int
    passed: int


@dataclass(frozen=True, kw_only=True)
class WorkerView:
    """A worker that trains now.

    Args:
        name: Host and process; None until its first epoch has ended.
        trial: Number of the trial that it trains.
        epochs: That it has trained, of all trials.
        idle: Seconds since its last epoch ended, or since it took up the trial.
    """

    name: str | None
    trial: int
    epochs: int
    idle: float


@dataclass(frozen=True, kw_only=True)
class SweepOverview:
    """A moment of a sweep.

    Args:
        name: Its name.
        metric, mode: The primary objective.
        state: ``starting``, ``running``, or how its last run ended.
        trials: All, by number.
        rungs: From the lowest.
        workers: Of running trials, by the trials' numbers.
        max_trials: That it will train.
        elapsed: Seconds of all runs, each from its first epoch to its last one, or to now while it runs.
        eta: Seconds to go, as its driver tells; None where it does not run, or no trial has ended.
    """

    name: str
    metric: str
    mode: Mode
    state: str
    trials: tuple[TrialView, ...]
    rungs: tuple[RungView, ...]
    workers: tuple[WorkerView, ...]
    max_trials: int
    elapsed: float
    eta: float | None

    @property
    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def epochs(self) -> int:
        """Trained by all trials."""
        return sum(len(trial.values) for trial in self.trials)


class SweepReader:
    """Reads a sweep's folder again and again; writes nothing.

    Args:
        path: The sweep's folder.

    Raises:
        SweepError: If it is none, or its storage does not answer.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = SweepFolder.open(path)
        self._storage: BaseStorage | None = None

    def read(self) -> SweepOverview:
        """The sweep as it is now.

        Raises:
            SweepError: If its storage does not answer.
        """
        spec, running = self.folder.spec(), self.folder.is_running()
        self._storage = self._storage or open_storage(spec)
        history = History(spec, EpochJournal(journal_path(self.folder.path)), time.monotonic)
        live = read_live(self.folder.path) if running else Live()
        at_work = {work.trial for work in live.work}
        rows = epoch_rows(self.folder.path)
        by_trial: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            by_trial.setdefault(row["trial"], []).append(row)
        trials = tuple(
            TrialView(
                number=trial.number,
                state=_state(trial, history, at_work),
                values=tuple(_value(row, spec.goal.metric) for row in by_trial.get(trial.number, [])),
                best=history.of(trial.number).best,
                worker=by_trial[trial.number][-1]["worker"] if trial.number in by_trial else None,
            )
            for trial in study_trials(spec, self._storage)
        )
        return SweepOverview(
            name=spec.name,
            metric=spec.goal.metric,
            mode=spec.goal.mode,
            state=self._state(running, bool(rows)),
            trials=trials,
            rungs=_rungs(trials, sorted(history.rungs.epochs)),
            workers=_workers({trial.number for trial in trials if trial.state == "running"}, live.work, rows),
            max_trials=spec.max_trials,
            elapsed=_elapsed(rows, self.folder.read_runs(), running),
            eta=live.eta,
        )

    def _state(self, running: bool, trained: bool) -> str:
        if running:
            return "running" if trained else "starting"
        outcome = self.folder.read_outcome()
        return outcome.ended if outcome else "killed"


def watched_folder(sweep: str, address: str | None = None) -> Path:
    """The folder of a sweep that is named by its folder, or by its name on a cluster.

    Args:
        sweep: A folder, or the name of a submitted sweep.
        address: As in `fer_ray.search.submit`; None for a folder.

    Raises:
        ClusterError: If the cluster does not answer.
        SweepError: If there is no such sweep, or its folder is not to be seen here.
    """
    if address is None:
        return Path(sweep)
    from fer_ray.search.submission import find_job

    job = find_job(sweep, address)
    path = Path(job.folder)
    if not path.is_dir():
        rule, received = "its folder must be seen here to be watched", f"no {path}; its job is {job.state}"
        remedy = f"Mount it here, or read what it has printed: fer-ray sweep logs {sweep}"
        raise SweepError(f"sweep {sweep}", rule, received, remedy)
    return path


def _state(trial: FrozenTrial, history: History, at_work: set[int]) -> str:
    if (failure := trial.user_attrs.get("failure")) in UNCOUNTED:
        return str(failure)
    if trial.state in _ENDED:
        return _ENDED[trial.state]
    if history.of(trial.number).decision is Decision.PAUSE:
        return "paused"
    return "running" if trial.number in at_work else "waiting"


def _value(row: dict[str, Any], metric: str) -> float:
    value = row.get(metric)
    return math.nan if value is None else float(value)


def _rungs(trials: tuple[TrialView, ...], epochs: list[int]) -> tuple[RungView, ...]:
    lengths = [len(trial.values) for trial in trials]
    return tuple(
        RungView(
            epoch=epoch,
            reached=sum(length >= epoch for length in lengths),
            passed=sum(length > epoch for length in lengths),
        )
        for epoch in epochs
    )


def _workers(
    running: set[int], at_work: tuple[Work, ...], rows: list[dict[str, Any]]
) -> tuple[WorkerView, ...]:
    now = time.time()
    counts = Counter(row["worker"] for row in rows)
    last = {row["worker"]: row["timestamp"].timestamp() for row in rows}
    return tuple(
        WorkerView(
            name=work.worker,
            trial=work.trial,
            epochs=counts[work.worker],
            idle=max(0.0, now - max(work.since, last.get(work.worker, 0.0))),
        )
        for work in sorted(at_work, key=lambda work: work.trial)
        if work.trial in running
    )


def _elapsed(rows: list[dict[str, Any]], runs: list[dict[str, Any]], running: bool) -> float:
    """Seconds of searching, without those between one run and the next."""
    ends = [row["timestamp"].timestamp() for row in rows]
    begins = [end - float(row["seconds"]) for end, row in zip(ends, rows, strict=True)]
    starts = [datetime.fromisoformat(run["started"]).timestamp() for run in runs[1:]]
    elapsed = 0.0
    for start, following in pairwise([-math.inf, *starts, math.inf]):
        places = [place for place, end in enumerate(ends) if start <= end < following]
        if places:
            is_now = running and following == math.inf
            last = time.time() if is_now else max(ends[place] for place in places)
            elapsed += last - min(begins[place] for place in places)
    return elapsed
