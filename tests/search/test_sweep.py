"""Whole sweeps on a real Ray cluster."""

import json
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml

from fer_ray.errors import ClusterError, DataError, SpaceError, SweepError
from fer_ray.registry import Registry
from fer_ray.results.predictions import TEST_PREDICTIONS, read_predictions
from fer_ray.search import SweepSpec, list_sweeps, load_result, resume, run

pytestmark = pytest.mark.ray


def spec_of(tmp_path: Path, faces: Path, space: Path, **changes) -> SweepSpec:
    content = {
        "name": "sweep",
        "data": str(faces),
        "space": {"file": str(space)},
        "scheduler": {"kind": "asha", "eta": 2, "grace": 1, "max_epochs": 4},
        "max_trials": 6,
        "seed": 1,
        "folder": str(tmp_path / "sweeps"),
        "model": {"name": "tiny", "registry": str(tmp_path / "registry")},
    }
    return SweepSpec.parse({**content, **changes})


def test_a_sweep_over_a_file_that_does_not_know_us(tmp_path, faces, plain_space, ray_cluster):
    seen = []
    result = run(spec_of(tmp_path, faces, plain_space), watch=seen.append)

    assert result.outcome.ended == "max_trials"
    states = result.trials.column("state").to_pylist()
    assert len(states) == 6 and set(states) <= {"COMPLETE", "PRUNED"}
    assert {"COMPLETE"} <= set(states)
    epochs = pd.read_parquet(result.path / "epochs.parquet")
    trials = pd.read_parquet(result.path / "trials.parquet")
    # ASHA with eta 2: full length for those that finished, rungs 1 and 2 for the others.
    assert set(trials[trials.state == "PRUNED"].epochs) <= {1, 2}
    assert set(trials[trials.state == "COMPLETE"].epochs) == {4}
    assert (epochs.groupby("trial").val_accuracy.max() - trials.set_index("trial").value).abs().max() < 1e-9
    assert epochs[["val_macro_f1", "val_balanced_accuracy"]].notna().all().all()
    assert (trials["hp.momentum"].notna() == (trials["hp.optimizer"] == "sgd")).all()
    assert seen[-1].best_value == pytest.approx(result.best["value"])
    assert 0 < result.outcome.utilisation <= 1

    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(result.path / "study.journal"))
    )
    study = optuna.load_study(study_name="sweep", storage=storage)
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    assert all(trial.last_step in (1, 2) for trial in pruned)

    version = Registry(str(tmp_path / "registry")).resolve("tiny")
    assert version.reference == result.outcome.model
    assert version.manifest.sweep["trial"] == result.best["trial"]
    # The registered model is the trial's best epoch, evaluated anew.
    assert version.manifest.metrics["validation"].accuracy == pytest.approx(result.best["value"], abs=1e-6)
    assert version.manifest.metrics["test"].n == 40
    answers = read_predictions(Path(version.location) / TEST_PREDICTIONS)
    assert (answers.label == answers.predicted).mean() == version.manifest.metrics["test"].accuracy
    # Losers' checkpoints are deleted.
    assert [path.name for path in (result.path / "checkpoints").iterdir()] == [
        f"trial-{result.best['trial']:05d}"
    ]


def test_more_trials_for_a_finished_sweep(tmp_path, faces, plain_space, ray_cluster):
    first = run(spec_of(tmp_path, faces, plain_space, max_trials=3))
    before = first.trials.to_pylist()

    with pytest.raises(SweepError, match="at least 3"):
        resume(first.path, max_trials=2)
    result = resume(first.path, max_trials=5)

    assert result.trials.num_rows == 5
    assert result.trials.to_pylist()[:3] == before
    assert result.outcome.seconds > first.outcome.seconds
    assert [row["name"] for row in list_sweeps(result.path.parent)] == ["sweep"]


def test_a_name_is_taken_once(tmp_path, faces, plain_space, ray_cluster):
    spec = spec_of(tmp_path, faces, plain_space)
    spec.path.mkdir(parents=True)
    (spec.path / "sweep.yaml").write_text(spec.to_yaml())
    with pytest.raises(SweepError, match="must not exist yet"):
        run(spec)


FAULTY = """
import keras


def build(hp):
    kind = hp.Choice("kind", ["good", "impossible", "broken", "diverging"])
    side = hp.Int("units", 4, 16)
    model = keras.Sequential([keras.layers.Rescaling(1 / 255)])
    if kind == "impossible":
        for _ in range(5):
            model.add(keras.layers.MaxPooling2D(3))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(side, activation="relu"))
    model.add(keras.layers.Dense(3 if kind == "broken" else 7, activation="softmax"))
    model.build((None, 16, 16, 1))
    rate = float("nan") if kind == "diverging" else 0.01
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def test_failures_have_kinds_and_the_sweep_goes_on(tmp_path, faces, ray_cluster):
    space = tmp_path / "faulty.py"
    space.write_text(FAULTY)
    result = run(
        spec_of(
            tmp_path,
            faces,
            space,
            searcher={"kind": "random"},
            objective={"metric": "val_loss", "mode": "min"},
            max_trials=12,
        )
    )

    rows = result.trials.to_pandas()
    by_kind = {kind: rows[rows["hp.kind"] == kind] for kind in set(rows["hp.kind"])}
    assert set(by_kind) == {"good", "impossible", "broken", "diverging"}
    assert set(by_kind["good"].state) <= {"COMPLETE", "PRUNED"}
    for kind in ("impossible", "broken", "diverging"):
        assert set(by_kind[kind].state) == {"FAIL"}
    assert by_kind["impossible"].reason.str.contains("build: must return a model").all()
    assert by_kind["broken"].reason.str.contains("fit: must train the model").all()
    assert by_kind["diverging"].reason.str.contains("not finite").all()
    # Models that cannot be built do not count.
    assert len(rows) - len(by_kind["impossible"]) == 12
    assert result.best["hyperparameters"]["kind"] == "good"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name\n", "must be importable"),
        ("x = 1\n", "must define one HyperModel"),
        ("def build(hp):\n    raise ValueError('no model today')\n", "no model today"),
    ],
)
def test_a_broken_space_ends_the_sweep_before_it_starts(tmp_path, faces, ray_cluster, text, message):
    space = tmp_path / "broken.py"
    space.write_text(text)
    with pytest.raises(SpaceError, match=message):
        run(spec_of(tmp_path, faces, space))


def test_an_objective_that_no_epoch_reports(tmp_path, faces, plain_space, ray_cluster):
    spec = spec_of(tmp_path, faces, plain_space, objective={"metric": "val_f1", "mode": "max"})
    with pytest.raises(SpaceError, match=r"val_f1 must be reported each epoch.*val_macro_f1"):
        run(spec)


def test_what_does_not_fit_the_cluster(tmp_path, faces, plain_space, ray_cluster):
    with pytest.raises(SweepError, match="must fit on one node"):
        run(spec_of(tmp_path, faces, plain_space, resources={"cpu": 64}))
    with pytest.raises(SweepError, match="0 GPUs"):
        run(spec_of(tmp_path, faces, plain_space, name="other", resources={"cpu": 1, "gpu": 0.5}))
    with pytest.raises(DataError):
        run(spec_of(tmp_path, tmp_path / "nowhere", plain_space))


def test_a_small_grid_is_enumerated(tmp_path, faces, ray_cluster):
    space = tmp_path / "grid.py"
    space.write_text(
        "import keras\n\n\ndef build(hp):\n"
        "    units, rate = hp.Choice('units', [4, 8]), hp.Choice('rate', [0.1, 0.01])\n"
        "    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(7)])\n"
        "    model.build((None, 16, 16, 1))\n"
        "    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        "    model.compile(keras.optimizers.SGD(rate), loss, metrics=['accuracy'])\n"
        "    return model\n"
    )
    result = run(
        spec_of(
            tmp_path,
            faces,
            space,
            searcher={"kind": "grid"},
            scheduler={"kind": "none", "max_epochs": 1},
            max_trials=50,
            model={"register_winner": False},
        )
    )
    assert result.outcome.ended == "space exhausted"
    chosen = {
        tuple(json.loads(text).values()) for text in result.trials.column("hyperparameters").to_pylist()
    }
    assert chosen == {(4, 0.1), (4, 0.01), (8, 0.1), (8, 0.01)}


def test_a_time_budget_ends_running_trials(tmp_path, faces, plain_space, ray_cluster):
    result = run(
        spec_of(
            tmp_path,
            faces,
            plain_space,
            time_budget="8s",
            scheduler={"kind": "none", "max_epochs": 100000},
            model={"register_winner": False},
        )
    )
    assert result.outcome.ended == "time budget"
    assert set(result.trials.column("state").to_pylist()) == {"PRUNED"}
    assert set(result.trials.column("reason").to_pylist()) == {"time budget"}


def test_an_address_of_another_cluster_is_refused(tmp_path, faces, plain_space, ray_cluster):
    spec = spec_of(tmp_path, faces, plain_space, address="192.0.2.9:6379")
    with pytest.raises(ClusterError, match=r"address: must be the cluster that this process is connected to"):
        run(spec)
    assert not spec.path.exists()


def test_the_resolved_file_runs_again(tmp_path, faces, plain_space, ray_cluster):
    result = run(spec_of(tmp_path, faces, plain_space, max_trials=1, model={"register_winner": False}))
    again = yaml.safe_load((result.path / "sweep.yaml").read_text())
    repeated = run(SweepSpec.parse({**again, "name": "again"}))
    np.testing.assert_array_equal(
        result.epochs.column("val_accuracy").to_numpy(), repeated.epochs.column("val_accuracy").to_numpy()
    )
    assert load_result(repeated.path).trials.num_rows == 1
