"""Trials of earlier sweeps, for a sampler to learn from."""

from collections.abc import Iterable
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from fer_ray.errors import SpaceError, SweepError
from fer_ray.filesystems import without_secrets
from fer_ray.search.folder import SweepFolder
from fer_ray.search.proposals import is_proposal
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.study import VALUES_AT_BEST_ATTRIBUTE, values_of, violations_of
from fer_ray.spaces import Space
from fer_ray.spaces.optuna_bridge import params_of

#: The user attribute of a trial that was not trained in this sweep: the folder and number of the one that was.
WARM_START_ATTRIBUTE = "warm_start"


def earlier_trials(spec: SweepSpec, space: Space, fingerprint: str) -> list[FrozenTrial]:
    """The trials of the sweeps that `searcher.warm_start` names which have a result, in terms of this space.

    Hyperparameters that an earlier space did not have take their default.

    Args:
        spec: The new sweep.
        space: Its space: that of the earlier ones, or a grown one.
        fingerprint: Of its data set.

    Raises:
        SweepError: If a folder is no sweep, or its objective or data are others.
        SpaceError: If an earlier configuration is none of this space.
    """
    return [
        trial
        for path in spec.searcher.warm_start
        for trial in _trials_of(SweepFolder.open(path), spec, space, fingerprint)
    ]


def add_earlier(study: optuna.Study, earlier: Iterable[FrozenTrial]) -> None:
    """Adds them to a study, each once however often the sweep is resumed."""
    there = {trial.user_attrs.get(WARM_START_ATTRIBUTE) for trial in study.get_trials(deepcopy=False)}
    study.add_trials([trial for trial in earlier if trial.user_attrs[WARM_START_ATTRIBUTE] not in there])


def _trials_of(folder: SweepFolder, spec: SweepSpec, space: Space, fingerprint: str) -> list[FrozenTrial]:
    where, before = f"searcher.warm_start {folder.path}", folder.spec()
    if before.goals != spec.goals:
        raise SweepError(where, f"must have {_named(spec)}", _named(before))
    found = folder.read_discovery() or {}
    if found.get("data") != fingerprint:
        remedy = "Values on other data say little; name its best configurations under searcher.known instead"
        raise SweepError(
            where, "must be of the same data", f"{without_secrets(before.data)} at that time", remedy
        )
    study = optuna.load_study(study_name=before.study_name, storage=open_storage(before))
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [_as_ours(trial, folder.path, space, spec) for trial in ended if is_proposal(trial)]


def _named(spec: SweepSpec) -> str:
    goals = ", ".join(f"{goal.metric} ({goal.mode})" for goal in spec.goals)
    return f"the objective{'s' if len(spec.goals) > 1 else ''} {goals}"


def _as_ours(trial: FrozenTrial, sweep: Path, space: Space, spec: SweepSpec) -> FrozenTrial:
    given = values_of(trial)
    try:
        values = space.check({**space.complete(given), **given})
    except SpaceError as error:
        where = f"searcher.warm_start {sweep}, trial {trial.number}, {error.where}"
        remedy = "A warm start needs the same space or a grown one"
        raise SpaceError(where, error.rule, error.received, remedy) from error
    params, distributions = params_of(space, values)
    kept = trial.user_attrs.get(VALUES_AT_BEST_ATTRIBUTE)
    return optuna.create_trial(
        state=trial.state,
        values=trial.values,
        params=params,
        distributions=distributions,
        intermediate_values=trial.intermediate_values,
        user_attrs={
            WARM_START_ATTRIBUTE: f"{sweep.absolute()}#{trial.number}",
            **({VALUES_AT_BEST_ATTRIBUTE: kept} if kept else {}),
        },
        # The earlier sweep may have had other constraints.
        constraints=violations_of(trial.user_attrs, spec.constraints.limits),
    )
