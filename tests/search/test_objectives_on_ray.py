"""A sweep with two objectives and constraints on a cluster, from its file to its registered winner."""

import json

import optuna
import pytest

from fer_ray.registry import Registry
from fer_ray.search import SweepSpec, resume, run
from fer_ray.search.folder import study_path

pytestmark = pytest.mark.ray

#: Of the plain space with 4 units: 16 x 16 pixels on 4 units on 7 classes; each further unit has 264.
LEAST, PER_UNIT = 16 * 16 * 4 + 4 + 4 * 7 + 7, 16 * 16 + 1 + 7


@pytest.fixture(scope="module")
def spec(tmp_path_factory, faces):
    def make(space, **changes):
        folder = tmp_path_factory.mktemp("objectives")
        content = {
            "name": "sweep",
            "data": str(faces),
            "space": {"file": str(space)},
            "folder": str(folder / "sweeps"),
            "model": {"registry": str(folder / "registry")},
            "seed": 1,
        }
        return SweepSpec.parse({**content, **changes})

    return make


def test_two_objectives_and_a_constraint(spec, plain_space, ray_cluster):
    most = LEAST + 30 * PER_UNIT  # Up to 32 units, which is half of the space.
    result = run(
        spec(
            plain_space,
            objective=[{"metric": "val_accuracy"}, {"metric": "latency_ms"}, {"metric": "parameters"}],
            constraints={"max_parameters": most, "max_latency_ms": 10_000},
            searcher={"kind": "random", "known": [{"units": 64}, {"units": 4}]},
            scheduler={"kind": "asha", "eta": 2, "max_epochs": 4},
            max_trials=6,
        )
    )
    assert result.outcome.ended == "max_trials"
    trials = result.trials.to_pandas().set_index("trial")
    infeasible, trained = trials[trials.state == "FAIL"], trials[trials.state != "FAIL"]
    # The first known configuration is one: it is no fault, and another trial takes its place.
    assert 0 in infeasible.index
    assert infeasible.reason.str.startswith("parameters: must be at most").all()
    assert (infeasible.parameters > most).all()
    assert not set(infeasible.index) & set(result.epochs["trial"].to_pylist())
    assert len(trained) == 6
    assert (trained.parameters <= most).all() and (trained.latency_ms > 0).all()
    assert (trained["value.latency_ms"] == trained.latency_ms).all()
    assert set(trained.state) == {"COMPLETE", "PRUNED"}

    assert min(row["values"]["parameters"] for row in result.front) == trained.parameters.min() == LEAST
    assert result.front[0]["trial"] == result.best["trial"] == result.outcome.winner
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(study_path(result.path)))
    )
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert {trial.number for trial in study.best_trials} <= set(trained[trained.state == "COMPLETE"].index)
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.PRUNED]):
        assert trial.user_attrs["rungs"].keys() <= {"1", "2"}
    manifest = Registry(result.spec.model.registry).resolve("sweep").manifest
    assert manifest.sweep["values"] == result.front[0]["values"]

    again = resume(result.path, max_trials=7)
    assert again.trials.num_rows > result.trials.num_rows
    assert again.trials.to_pylist()[: len(trials)] == result.trials.to_pylist()


def test_a_sweep_of_which_nothing_keeps_the_constraints_ends_and_says_so(spec, plain_space, ray_cluster):
    result = run(
        spec(
            plain_space, constraints={"max_parameters": LEAST - 1}, searcher={"kind": "random"}, max_trials=1
        )
    )
    assert result.outcome.ended == "10 infeasible configurations"
    assert (result.best, result.epochs.num_rows) == (None, 0)
    assert json.loads((result.path / "space.json").read_text())["infeasible"] == []
