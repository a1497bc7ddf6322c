"""Rows of the trial and epoch tables, from a sweep's study and journal."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fer_ray.objective import MODEL_MEASURES, Objective, values_in
from fer_ray.results.journal import EpochJournal
from fer_ray.results.tables import epochs_table, trials_table, write_tables
from fer_ray.search.folder import journal_path, writing_tables
from fer_ray.search.proposals import is_proposal
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import VALUES_AT_BEST_ATTRIBUTE, FailureKind, values_of
from fer_ray.search.warm_start import WARM_START_ATTRIBUTE


def epoch_rows(sweep: Path) -> list[dict[str, Any]]:
    """One row per trained epoch; of an epoch that was trained twice, the one that was decided on."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for record in EpochJournal(journal_path(sweep)).read():
        if "epoch" not in record:  # A trial has advanced past its rung.
            continue
        row = {**record, "timestamp": datetime.fromisoformat(record["timestamp"])}
        rows.setdefault((row["trial"], row["epoch"]), row)
    return list(rows.values())


def write_sweep_tables(sweep: Path, spec: SweepSpec, storage: BaseStorage) -> None:
    """Writes both tables into the sweep's folder, as study and journal are now."""
    # Somebody who looks at the sweep while it ends must not write what was before over what its driver writes.
    with writing_tables(sweep):
        epochs = epoch_rows(sweep)
        trials = trials_table(trial_rows(spec, storage, epochs))
        plain = [
            {key: value for key, value in row.items() if key not in (*MODEL_MEASURES, "decision")}
            for row in epochs
        ]
        write_tables(sweep, trials, epochs_table(plain))


def trial_rows(spec: SweepSpec, storage: BaseStorage, epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per trial of the sweep."""
    by_trial: dict[int, list[dict[str, Any]]] = {}
    for row in epochs:
        by_trial.setdefault(row["trial"], []).append(row)
    return [
        _trial_row(trial, by_trial.get(trial.number, []), spec.goals) for trial in study_trials(spec, storage)
    ]


def study_trials(spec: SweepSpec, storage: BaseStorage) -> list[FrozenTrial]:
    """The trials of the study that belong to the sweep: no duplicates, earlier sweeps' or waiting ones."""
    return [
        trial
        for trial in _all_trials(spec, storage)
        if trial.state is not TrialState.WAITING
        and trial.user_attrs.get("failure") != FailureKind.DUPLICATE
        and WARM_START_ATTRIBUTE not in trial.user_attrs
    ]


def _all_trials(spec: SweepSpec, storage: BaseStorage) -> list[FrozenTrial]:
    """All of the study; none if it was not made yet."""
    names = [study.study_name for study in optuna.get_all_study_summaries(storage, include_best_trial=False)]
    if spec.study_name not in names:
        return []
    return optuna.load_study(study_name=spec.study_name, storage=storage).get_trials(deepcopy=False)


def duplicates(spec: SweepSpec, storage: BaseStorage) -> list[tuple[int, int]]:
    """Proposals of configurations that had a trial already, with that trial: pairs of numbers."""
    first: dict[str, int] = {}
    found = []
    for trial in _all_trials(spec, storage):
        key = json.dumps(values_of(trial), sort_keys=True)
        if trial.user_attrs.get("failure") == FailureKind.DUPLICATE:
            found.append((trial.number, first[key]))
        elif is_proposal(trial):
            first.setdefault(key, trial.number)
    return found


def _trial_row(
    trial: FrozenTrial, epochs: list[dict[str, Any]], goals: Sequence[Objective]
) -> dict[str, Any]:
    # What is not closed yet takes part with its best epoch so far; of a failed one no value counts.
    best = _best_epoch(epochs, goals) if trial.state is TrialState.RUNNING else {}
    values = {goal.metric: best[goal.metric] for goal in goals} if best and len(goals) > 1 else {}
    return {
        "trial": trial.number,
        "state": trial.state.name,
        "value": trial.user_attrs.get("best_value", best.get(goals[0].metric)),
        "best_epoch": trial.user_attrs.get("best_epoch", best.get("epoch")),
        "epochs": len(epochs),
        "objective": goals[0].metric,
        "failure": trial.user_attrs.get("failure"),
        "reason": trial.user_attrs.get("reason"),
        "seconds": sum(row["seconds"] for row in epochs),
        **{measure: _measure(trial, epochs, measure) for measure in MODEL_MEASURES},
        "values": values or trial.user_attrs.get(VALUES_AT_BEST_ATTRIBUTE, {}),
        "started": _utc(trial.datetime_start),
        "ended": _utc(trial.datetime_complete),
        "hyperparameters": values_of(trial),
    }


def _best_epoch(epochs: list[dict[str, Any]], goals: Sequence[Objective]) -> dict[str, Any]:
    """The first of the best epochs in the primary objective, among those with a finite value of each."""
    best: dict[str, Any] = {}
    for row in sorted(epochs, key=lambda row: row["epoch"]):
        values = values_in(row, goals)
        if values is not None and goals[0].better(values[goals[0].metric], best.get(goals[0].metric)):
            best = row
    return best


def _measure(trial: FrozenTrial, epochs: list[dict[str, Any]], measure: str) -> float | None:
    """In the epochs of a trial that still runs, in the study once it has ended, trained or not."""
    found = next((row[measure] for row in epochs if measure in row), None)
    return found if found is not None else trial.user_attrs.get(measure)


def _utc(moment: datetime | None) -> datetime | None:
    """Optuna keeps local time without saying so."""
    return moment.astimezone(UTC) if moment else None
