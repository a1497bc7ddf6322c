"""Trials of earlier sweeps, for a sampler to learn from; without Ray."""

import json
import math

import pytest
from optuna.trial import TrialState

from fer_ray.errors import ConfigError, SpaceError, SweepError
from fer_ray.search.memory import SweepMemory
from fer_ray.search.rows import trial_rows
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.warm_start import earlier_trials
from fer_ray.spaces import Space


def entry(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, "default": None, "conditions": [], **config}}


RATE = entry("Float", "rate", min_value=1e-4, max_value=1e-1, step=None, sampling="log")
UNITS = entry("Int", "units", min_value=8, max_value=64, step=8, sampling="linear")
DEPTH = entry("Int", "depth", min_value=1, max_value=4, step=1, sampling="linear")
SPACE = {"space": [RATE, UNITS]}
GROWN = {"space": [RATE, UNITS, DEPTH]}


@pytest.fixture
def make_spec(tmp_path):
    def make(name, **changes):
        content = {"name": name, "data": "none", "space": {"file": "none.py"}, "folder": str(tmp_path)}
        return SweepSpec.parse({**content, "searcher": {"kind": "random"}, "max_trials": 30, **changes})

    return make


@pytest.fixture
def earlier(make_spec):
    """A sweep of 30 trials, better the closer the rate is to 1e-2; a third stopped at the first rung."""
    spec = make_spec("earlier")
    spec.path.mkdir()
    (spec.path / "sweep.yaml").write_text(spec.to_yaml())
    (spec.path / "space.json").write_text(json.dumps({"data": "prints"}))
    memory = SweepMemory(spec, Space.from_config(SPACE), open_storage(spec))
    while (proposal := memory.propose()) is not None:
        value = 1 / (1 + abs(math.log10(proposal.values["rate"]) + 2))
        for epoch in range(1, 10):
            row = {"trial": proposal.number, "epoch": epoch, "seconds": 1.0, "worker": "w"}
            if not memory.goes_on(proposal.number, memory.record_epoch({**row, "val_accuracy": value})):
                break
        memory.close(proposal.number)
    assert memory.ended == "max_trials"
    return spec


def open_late(make_spec, earlier, space=SPACE, **changes):
    searcher = {
        "kind": "tpe",
        "warm_start": [str(earlier.path)],
        "known": [],
        "options": {"n_startup_trials": 10},
    }
    spec = make_spec("late", searcher=searcher, **changes)
    spec.path.mkdir(exist_ok=True)
    found = Space.from_config(space)
    return SweepMemory(spec, found, open_storage(spec), earlier=earlier_trials(spec, found, "prints"))


@pytest.mark.parametrize("space", [SPACE, GROWN])
def test_the_sampler_learns_from_them_and_nobody_counts_them(make_spec, earlier, space):
    memory = open_late(make_spec, earlier, space, max_trials=20)
    assert (memory.counted, memory.closed, memory.running, memory.winner()) == (0, 0, 0, None)
    rates = [memory.propose().values["rate"] for _ in range(20)]
    assert memory.propose() is None
    # By chance a third would come as close.
    assert sum(abs(math.log10(rate) + 2) < 0.5 for rate in rates) >= 10
    assert len(trial_rows(memory.spec, open_storage(memory.spec), [])) == 20
    states = [trial.state for trial in memory.study.trials[:30]]
    assert {TrialState.COMPLETE, TrialState.PRUNED} == set(states)


def test_they_are_added_once_however_often_a_sweep_is_resumed(make_spec, earlier):
    for _ in range(2):
        memory = open_late(make_spec, earlier)
    assert len(memory.study.trials) == 30


@pytest.mark.parametrize(
    ("changes", "fingerprint", "message"),
    [
        ({"objective": {"metric": "val_loss"}}, "prints", "must have the objective"),
        ({}, "others", "must be of the same data"),
    ],
)
def test_what_cannot_be_compared_is_refused(make_spec, earlier, changes, fingerprint, message):
    searcher = {"kind": "tpe", "warm_start": [str(earlier.path)]}
    spec = make_spec("late", searcher=searcher, **changes)
    with pytest.raises(SweepError, match=message):
        earlier_trials(spec, Space.from_config(SPACE), fingerprint)


def test_a_smaller_space_is_refused(make_spec, earlier):
    few = entry("Int", "units", min_value=8, max_value=16, step=8, sampling="linear")
    with pytest.raises(
        SpaceError, match=r"warm_start .*earlier, trial \d+.*A warm start needs the same space"
    ):
        open_late(make_spec, earlier, {"space": [RATE, few]})


def test_a_folder_that_is_no_sweep_is_refused(make_spec, tmp_path):
    spec = make_spec("late", searcher={"kind": "tpe", "warm_start": [str(tmp_path)]})
    with pytest.raises(SweepError, match="must be the folder of a sweep"):
        earlier_trials(spec, Space.from_config(SPACE), "prints")


@pytest.mark.parametrize("kind", ["random", "grid", "cmaes", "qmc"])
def test_samplers_that_would_not_learn_are_told_so(make_spec, tmp_path, kind):
    with pytest.raises(ConfigError, match=f"warm_start needs the kind tpe or gp: {kind} would not"):
        make_spec("late", searcher={"kind": kind, "warm_start": [str(tmp_path)]})
