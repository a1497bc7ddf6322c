"""What experiment trackers are told of a real sweep."""

import logging

import pytest
from optuna.trial import TrialState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from fer_ray.search import SweepResult, SweepSpec, resume, run

pytestmark = pytest.mark.ray


@pytest.fixture
def spec(tmp_path, faces, plain_space) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": "tracked",
            "data": str(faces),
            "space": {"file": str(plain_space)},
            "scheduler": {"variant": "promotion", "eta": 2, "max_epochs": 4},
            "max_trials": 4,
            "tracking": {"tensorboard": True},
            "folder": str(tmp_path),
            "model": {"register_winner": False},
        }
    )


def events(result: SweepResult) -> dict[int, EventAccumulator]:
    """What TensorBoard itself reads, by trial."""
    found = {}
    for folder in (result.path / "tensorboard").iterdir():
        found[int(folder.name.removeprefix("trial-"))] = EventAccumulator(str(folder)).Reload()
    return found


def hyperparameters(trial: EventAccumulator) -> dict[str, object]:
    """As the HParams page has them."""
    content = trial.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def test_tensorboard_has_every_epoch_and_each_trial_once_although_they_pause(spec, ray_cluster):
    run(spec.model_copy(update={"max_trials": 3}))
    result = resume(spec.path, max_trials=5)
    table, trials = result.epochs.to_pandas(), result.trials.to_pandas().set_index("trial")
    found = events(result)
    assert sorted(found) == sorted(trials.index) and len(found) == 5
    for number, trial in found.items():
        epochs = table[table.trial == number]
        for metric in ("val_accuracy", "loss", "seconds"):
            scalars = trial.Scalars(metric)
            assert [scalar.step for scalar in scalars] == epochs.epoch.tolist()
            assert [scalar.value for scalar in scalars] == pytest.approx(epochs[metric].tolist(), rel=1e-6)
        (best,) = trial.Scalars("best/val_accuracy")
        assert best.value == pytest.approx(trials.value[number], rel=1e-6)
        shown = hyperparameters(trial)
        assert shown["units"] == trials["hp.units"][number]
        assert shown["state"] == trials.state[number] in {TrialState.COMPLETE.name, TrialState.PRUNED.name}


def test_a_tracker_that_fails_is_told_nothing_more_and_the_sweep_goes_on(spec, ray_cluster, caplog):
    spec.path.mkdir()
    (spec.path / "tensorboard").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        result = run(spec)
    assert result.outcome.ended == "max_trials" and len(result.trials) == 4
    (warning,) = [record.message for record in caplog.records if "TensorBoard" in record.message]
    assert warning.startswith("TensorBoard is told nothing more of this sweep: NotADirectoryError")
