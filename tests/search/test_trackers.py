"""What experiment trackers are told of a real sweep."""

import json
import logging
import shutil
import signal
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from wandb.proto.wandb_internal_pb2 import Record

from fer_ray.errors import ConfigError
from fer_ray.search import SweepResult, SweepSpec, resume, run
from fer_ray.search.trackers.mlflow import MLflow
from fer_ray.search.trackers.tensorboard import TensorBoard
from fer_ray.search.trackers.tracker_thread import TrackerThread
from fer_ray.search.tracking_section import MLflowSection

PLACES = {"TensorBoard": "tensorboard/*/events*", "MLflow": "mlflow.db", "W&B": "wandb/*/*.wandb"}
METRICS = ("val_accuracy", "loss", "seconds")


def spec_of(folder: Path, faces: Path, space: Path, **changes: Any) -> SweepSpec:
    content = {
        "name": "tracked",
        "data": str(faces),
        "space": {"file": str(space)},
        "scheduler": {"variant": "promotion", "eta": 2, "max_epochs": 4},
        "max_trials": 5,
        "tracking": {"tensorboard": True, "mlflow": True, "wandb": True},
        "folder": str(folder),
        "model": {"register_winner": False},
    }
    return SweepSpec.parse({**content, **changes})


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, faces, plain_text, ray_cluster) -> SweepResult:
    """A sweep whose trials pause at rungs, interrupted in the middle and resumed."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "plain.py").write_text(plain_text)
    spec, live = spec_of(folder, faces, folder / "plain.py"), set()

    def interrupt(status):
        if status.epochs < 5 or live:
            return
        until = time.monotonic() + 60
        while len(live) < len(PLACES) and time.monotonic() < until:
            live.update(name for name, place in PLACES.items() if has_metrics(spec.path, place))
        signal.raise_signal(signal.SIGINT)

    assert run(spec, watch=interrupt).outcome.ended == "interrupted"
    assert live == PLACES.keys(), "each has epochs on the disk while the sweep runs"
    return resume(spec.path)


def has_metrics(sweep: Path, place: str) -> bool:
    return any(b"val_accuracy" in file.read_bytes() for file in sweep.glob(place))


def trials_of(result: SweepResult) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Of each trial its row, and its epochs."""
    epochs = defaultdict(list)
    for epoch in result.epochs.to_pylist():
        epochs[epoch["trial"]].append(epoch)
    for trial in result.trials.to_pylist():
        assert trial["state"] in (TrialState.COMPLETE.name, TrialState.PRUNED.name)
        yield trial, epochs[trial["trial"]]


def assert_tracked(found: list[tuple[int, float]], epochs: list[dict[str, Any]], metric: str) -> None:
    """Whether steps and values are the epochs', each once and in their order."""
    assert [step for step, _ in found] == [epoch["epoch"] for epoch in epochs]
    assert [value for _, value in found] == pytest.approx([epoch[metric] for epoch in epochs], rel=1e-6)


def hyperparameters(trial: EventAccumulator) -> dict[str, object]:
    """As the HParams page has them."""
    content = trial.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


@pytest.mark.ray
def test_tensorboard_has_every_epoch_and_each_trial_once(tracked):
    folder = tracked.path / "tensorboard"
    found = {path.name: EventAccumulator(str(path)).Reload() for path in folder.iterdir()}
    assert len(found) == tracked.trials.num_rows == 5
    for row, epochs in trials_of(tracked):
        trial = found[f"trial-{row['trial']:05d}"]
        for metric in METRICS:
            assert_tracked([(each.step, each.value) for each in trial.Scalars(metric)], epochs, metric)
        (best,) = trial.Scalars("best/val_accuracy")
        assert best.value == pytest.approx(row["value"], rel=1e-6)
        assert hyperparameters(trial)["units"] == row["hp.units"]
        (state,) = trial.Tensors("state/text_summary")
        assert state.tensor_proto.string_val == [row["state"].encode()]


def hparams_page(folder: Path) -> dict[str, tuple[set[str], set[str], int]]:
    """What TensorBoard's page has of each run: hyperparameters, metrics, status."""
    events = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(events, str(folder))))
    request = api_pb2.ListSessionGroupsRequest(
        slice_size=10, allowed_statuses=api_pb2.Status.values(), include_metrics=True
    )
    page = Handler(RequestContext(), context, "", request).run()
    return {
        group.sessions[0].name: (
            set(group.hparams),
            {metric.name.tag for metric in group.metric_values},
            group.sessions[0].status,
        )
        for group in page.session_groups
    }


def test_tensorboards_page_of_hyperparameters_has_trials_from_their_beginning_on(tmp_path):
    tracker = TensorBoard(tmp_path, "val_accuracy")
    sgd, adam = {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam", "amsgrad": True}
    for trial, values in enumerate((sgd, adam, adam)):
        tracker.begin(trial, values)
    tracker.epoch(1, 1, {"val_accuracy": 0.1})
    running = (set(sgd), set(), api_pb2.STATUS_UNKNOWN)
    training = (set(adam), {"val_accuracy"}, api_pb2.STATUS_UNKNOWN)
    until = time.monotonic() + 60
    while (page := hparams_page(tmp_path)).get("trial-00001") != training or len(page) < 3:
        assert time.monotonic() < until, page
    assert page["trial-00000"] == running
    tracker.end(1, adam, TrialState.PRUNED, 0.1)
    tracker.end(2, adam, TrialState.FAIL, None)
    assert hparams_page(tmp_path) == {
        "trial-00000": running,
        "trial-00001": (set(adam), {"val_accuracy", "best/val_accuracy"}, api_pb2.STATUS_SUCCESS),
        "trial-00002": (set(adam), set(), api_pb2.STATUS_FAILURE),
    }


def test_tensorboard_loses_nothing_of_a_trial_that_goes_on_and_ends_at_once(tmp_path):
    first, second = TensorBoard(tmp_path, "val_accuracy"), TensorBoard(tmp_path, "val_accuracy")
    first.begin(0, {"units": 3})
    first.epoch(0, 1, {"val_accuracy": 0.1})
    first.close()
    second.begin(0, {"units": 3})
    second.epoch(0, 2, {"val_accuracy": 0.2})
    second.end(0, {"units": 3}, TrialState.PRUNED, 0.2)
    trial = EventAccumulator(str(tmp_path / "trial-00000")).Reload()
    assert [scalar.step for scalar in trial.Scalars("val_accuracy")] == [1, 2]
    assert len(trial.Scalars("best/val_accuracy")) == 1
    assert hyperparameters(trial)["units"] == 3


def mlflow_runs(uri: str) -> tuple[MlflowClient, list[Run]]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tracked")
    return client, client.search_runs([experiment.experiment_id])


@pytest.mark.ray
def test_mlflow_has_a_run_for_each_trial_with_every_epoch(tracked):
    client, runs = mlflow_runs(f"sqlite:///{tracked.path / 'mlflow.db'}")
    by_trial = {int(run.data.tags["fer_ray.trial"]): run for run in runs}
    assert len(by_trial) == len(runs) == 5
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
    for row, epochs in trials_of(tracked):
        run = by_trial[row["trial"]]
        for metric in METRICS:
            history = client.get_metric_history(run.info.run_id, metric)
            assert_tracked(sorted((each.step, each.value) for each in history), epochs, metric)
        assert run.data.metrics["best/val_accuracy"] == pytest.approx(row["value"])
        assert run.data.params["units"] == str(row["hp.units"])
        assert run.data.tags["fer_ray.state"] == row["state"]
        assert run.info.run_name == f"trial-{row['trial']:05d}"
        assert run.info.status == status[row["state"]]
    assert not Path("mlruns").exists()


@pytest.mark.ray
def test_another_sweep_of_that_name_has_runs_of_its_own_in_mlflow(tracked, tmp_path):
    uri = f"sqlite:///{shutil.copy(tracked.path / 'mlflow.db', tmp_path)}"
    before = {run.info.run_id for run in mlflow_runs(uri)[1]}
    tracker = MLflow(MLflowSection(uri=uri), tracked.path, "another", "val_accuracy")
    tracker.begin(0, {"units": 3})
    tracker.close()
    _, runs = mlflow_runs(uri)
    (new,) = (run for run in runs if run.info.run_id not in before)
    assert new.data.params == {"units": "3"}
    assert new.info.status == "SCHEDULED"


def records(file: Path) -> Iterator[Record]:
    """What `wandb sync` would send of a run: a log in LevelDB's format, blocks of 32 KiB after seven bytes."""
    content, place, record = file.read_bytes(), 7, b""
    while place < len(content):
        if (left := 2**15 - place % 2**15) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole one, or the last piece of one
            yield Record.FromString(record)
            record = b""


def wandb_runs(sweep: Path) -> dict[str, dict[str, Any]]:
    """By id: what the run is, its history in the order of its pieces, and its summary."""
    runs: dict[str, dict[str, Any]] = {}
    for file in sorted(sweep.glob("wandb/offline-run-*/*.wandb")):
        found = runs.setdefault(file.stem.removeprefix("run-"), {"history": [], "summary": {}, "pieces": 0})
        found["pieces"] += 1
        for record in records(file):
            if record.HasField("run"):
                found["run"] = record.run
            elif record.HasField("history"):
                items = {"/".join(item.nested_key) or item.key: item for item in record.history.item}
                found["history"].append({name: json.loads(item.value_json) for name, item in items.items()})
            elif record.HasField("summary"):
                items = {"/".join(item.nested_key) or item.key: item for item in record.summary.update}
                found["summary"] |= {name: json.loads(item.value_json) for name, item in items.items()}
    return runs


@pytest.mark.ray
def test_weights_and_biases_has_a_run_for_each_trial_with_every_epoch(tracked):
    runs = wandb_runs(tracked.path)
    by_trial = {int(name.rpartition("-")[2]): run for name, run in runs.items()}
    assert len(by_trial) == len(runs) == 5
    # Those that were under way at the interruption go on under their ids.
    assert any(run["pieces"] == 2 for run in runs.values())
    for row, epochs in trials_of(tracked):
        run = by_trial[row["trial"]]
        for metric in METRICS:
            history = [(each["_step"], each[metric]) for each in run["history"] if metric in each]
            assert_tracked(history, epochs, metric)
        assert run["summary"]["best/val_accuracy"] == pytest.approx(row["value"])
        assert run["summary"]["state"] == row["state"]
        config = {item.key: json.loads(item.value_json) for item in run["run"].config.update}
        assert config["units"] == row["hp.units"]
        told = run["run"]
        assert (told.project, told.run_group) == ("fer_ray", "tracked")
        assert told.display_name == f"trial-{row['trial']:05d}"


@pytest.mark.ray
def test_trackers_that_fail_are_told_nothing_more_and_the_sweep_goes_on(
    tmp_path, faces, plain_space, ray_cluster, caplog
):
    spec = spec_of(tmp_path, faces, plain_space, max_trials=2)
    spec.path.mkdir()
    for name in ("tensorboard", "wandb"):
        (spec.path / name).write_text("a file where a folder should be")
    (spec.path / "mlflow.db").write_text("no database")
    with caplog.at_level(logging.WARNING):
        result = run(spec)
    assert result.outcome.ended == "max_trials" and len(result.trials) == 2
    told = [
        record.message for record in caplog.records if "is told nothing more of this sweep" in record.message
    ]
    assert sorted(text.split(" is told")[0] for text in told) == ["MLflow", "TensorBoard", "Weights & Biases"]


@pytest.mark.parametrize("extra", ["mlflow", "wandb"])
def test_a_missing_package_is_one_error_that_names_the_extra(
    tmp_path, faces, plain_space, monkeypatch, extra
):
    monkeypatch.setitem(sys.modules, extra, None)
    spec = spec_of(tmp_path, faces, plain_space, tracking={extra: True})
    message = (
        rf"sweep tracked: tracking.{extra}: needs the package {extra}.* pip install 'fer-ray\[{extra}\]'"
    )
    with pytest.raises(ConfigError, match=message):
        run(spec)
    assert not spec.path.exists()


class Slow:
    """A tracker whose server does not answer until it is let."""

    name = "Slow"

    def __init__(self) -> None:
        self.answers, self.heard = threading.Event(), []

    def hear(self, what: int) -> None:
        assert self.answers.wait(60)
        self.heard.append(what)

    def close(self) -> None:
        self.heard.append("close")


def test_a_slow_tracker_is_not_waited_for_and_hears_everything_in_order(caplog):
    slow = Slow()
    thread = TrackerThread(slow)
    for number in range(3):
        thread.tell(lambda tracker, number=number: tracker.hear(number))
    assert slow.heard == []
    slow.answers.set()
    thread.close(60)
    assert slow.heard == [0, 1, 2, "close"] and not caplog.records


def test_a_sweep_ends_without_a_tracker_that_never_answers(caplog):
    slow = Slow()
    thread = TrackerThread(slow)
    thread.tell(lambda tracker: tracker.hear(1))
    thread.close(0.1)
    assert slow.heard == []
    (warning,) = [record.message for record in caplog.records]
    assert warning.startswith("Slow has not taken all of this sweep in")
    slow.answers.set()
