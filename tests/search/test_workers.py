"""Workers that are lost, hang, grow or have no disk, and trials that pause, on a real Ray cluster."""

import os
import signal
import threading
from pathlib import Path

import pandas as pd
import psutil
import pytest

from fer_ray.errors import StorageError, SweepError
from fer_ray.results.journal import EpochJournal
from fer_ray.search import SweepSpec, resume, run

pytestmark = pytest.mark.ray

# Calls `trouble` at the begin of each epoch: what it does is each test's own.
SPACE = """
import os, time
import keras, keras_tuner


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 4, 64, step=4), activation="relu"),
            keras.layers.Dense(7, activation="softmax"),
        ])
        model.build((None, 16, 16, 1))
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        # None while the space is discovered, on a handful of images.
        trouble = self.trouble if len(args[0]) > 100 else lambda epoch: None
        begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: trouble(epoch + 1))
        return model.fit(*args, callbacks=[*callbacks, begin], verbose=0, **kwargs)

    def trouble(self, epoch):
        TROUBLE
"""


@pytest.fixture
def sweep(tmp_path, faces):
    """Makes sweeps over the space with some trouble in it."""

    def make(trouble: str = "pass", **changes) -> SweepSpec:
        space = tmp_path / "space.py"
        space.write_text(SPACE.replace("TROUBLE", trouble))
        content = {
            "name": "sweep",
            "data": str(faces),
            "space": {"file": str(space), "object": "Model"},
            "scheduler": {"kind": "none", "max_epochs": 4},
            "max_trials": 4,
            "retries": 0,
            "folder": str(tmp_path / "sweeps"),
            "model": {"register_winner": False},
        }
        return SweepSpec.parse({**content, **changes})

    return make


def once(path: Path, then: str) -> str:
    """Trouble in the second epoch of the first trial that comes to it."""
    return f"""if epoch == 2 and not os.path.exists({str(path)!r}):
            open({str(path)!r}, "w").close()
            {then}"""


def whole_curves(result) -> pd.Series:
    """How many epochs each trial has; each must have all of them once."""
    epochs = result.epochs.to_pandas()
    assert not epochs.duplicated(["trial", "epoch"]).any()
    return epochs.groupby("trial").epoch.max()


def test_a_full_worker_makes_room_for_a_new_one_and_no_trial_fails(sweep, ray_cluster):
    result = run(sweep(limits={"worker_mb": 1}, concurrency=1))
    trials = result.trials.to_pandas()
    assert set(trials.state) == {"COMPLETE"} and len(trials) == 4
    assert result.epochs.to_pandas().groupby("trial").worker.first().nunique() == 4
    assert result.epochs.to_pandas().groupby("trial").worker.nunique().max() == 1


def test_a_worker_that_has_room_is_kept(sweep, ray_cluster):
    result = run(sweep(concurrency=1))
    assert result.epochs.to_pandas().worker.nunique() == 1


@pytest.mark.slow
def test_a_worker_that_starts_is_not_given_up_although_trials_end_sooner(sweep, ray_cluster):
    """The second worker has no place until the first trial has ended, and takes longer to start than any trial."""
    import ray

    @ray.remote(num_cpus=1)
    class Occupant:
        def there(self) -> bool:
            return True

    occupant = Occupant.remote()
    ray.get(occupant.there.remote())
    result = run(sweep(max_trials=40), watch=lambda status: status.finished and ray.kill(occupant))
    assert set(result.trials.to_pandas().state) == {"COMPLETE"}
    assert result.epochs.to_pandas().worker.nunique() == 2


def test_a_hung_epoch_ends_and_is_told_with_the_place(sweep, ray_cluster, tmp_path):
    spec = sweep(
        once(tmp_path / "flag", "time.sleep(600)"), limits={"epoch": 10}, max_trials=2, concurrency=1
    )
    result = run(spec)
    trials = result.trials.to_pandas()
    assert sorted(trials.state) == ["COMPLETE", "FAIL"]
    reason = trials[trials.state == "FAIL"].reason.item()
    assert reason.startswith("an epoch took longer than 10 s; where it hung: ")
    report = Path(reason.removeprefix("an epoch took longer than 10 s; where it hung: "))
    assert "in trouble" in report.read_text()


def test_a_hung_trial_is_tried_again(sweep, ray_cluster, tmp_path):
    trouble = once(tmp_path / "flag", "time.sleep(600)")
    result = run(sweep(trouble, limits={"epoch": 10}, max_trials=2, concurrency=1, retries=1))
    assert set(result.trials.to_pandas().state) == {"COMPLETE"}
    assert list(whole_curves(result)) == [4, 4]


@pytest.mark.parametrize(("retries", "states"), [(0, ["COMPLETE", "FAIL"]), (1, ["COMPLETE", "COMPLETE"])])
def test_a_killed_worker_costs_its_trial_a_retry(sweep, ray_cluster, tmp_path, retries, states):
    trouble = once(tmp_path / "flag", "os.kill(os.getpid(), 9)")
    result = run(sweep(trouble, max_trials=2, retries=retries))
    trials = result.trials.to_pandas()
    assert sorted(trials.state) == states
    assert list(whole_curves(result).sort_values()) == ([1, 4] if retries == 0 else [4, 4])
    if retries == 0:
        reason = trials[trials.state == "FAIL"].reason.item()
        assert reason.startswith("its worker failed or died: ")


@pytest.mark.slow
def test_workers_killed_between_trials_lose_nothing(sweep, ray_cluster, tmp_path):
    """Some of the kills hit a worker while Tune resets it for its next trial."""
    # A kill that hits a worker which has its next trial already costs that trial a retry; there are at most 12.
    spec = sweep(max_trials=12, retries=12)
    journal = EpochJournal(spec.path / "epochs.jsonl")
    stop = threading.Event()

    def kill() -> None:
        killed: set[str] = set()
        while not stop.wait(0.02):
            ended = [row["worker"] for row in journal.read() if row.get("epoch") == 4]
            for worker in set(ended) - killed:
                killed.add(worker)
                os.kill(int(worker.rpartition("-")[2]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = run(spec)
    finally:
        stop.set()
        killer.join()
    assert set(result.trials.to_pandas().state) == {"COMPLETE"}
    assert list(whole_curves(result)) == [4] * 12
    assert result.epochs.to_pandas().worker.nunique() > 2


def test_without_room_for_checkpoints_the_sweep_ends_and_can_be_resumed(sweep, ray_cluster):
    spec = sweep(scheduler={"variant": "promotion", "eta": 2, "max_epochs": 4})
    spec.path.mkdir(parents=True)
    blocked = spec.path / "checkpoints"
    blocked.write_text("no folder can be made here")
    with pytest.raises(StorageError, match="must have room for checkpoints"):
        run(spec)
    blocked.unlink()
    result = resume(spec.path)
    assert result.outcome.ended == "max_trials"
    assert set(result.trials.to_pandas().state) == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize("brackets", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_paused_trials_go_on_from_their_checkpoints(sweep, ray_cluster, brackets):
    scheduler = {"variant": "promotion", "eta": 2, "max_epochs": 4, "brackets": brackets}
    result = run(sweep(scheduler=scheduler, max_trials=8))
    trials, lengths = result.trials.to_pandas().set_index("trial"), whole_curves(result)
    assert result.outcome.ended == "max_trials"
    assert len(trials) == 8 and set(trials.state) == {"COMPLETE", "PRUNED"}
    assert set(lengths[trials.state == "COMPLETE"]) == {4}
    assert set(lengths[trials.state == "PRUNED"]) <= {1, 2}
    # A straight run of the winner's configuration has the same curve, bit for bit.
    best = result.best
    known = {"kind": "random", "known": [best["hyperparameters"]]}
    straight = run(sweep(name="straight", searcher=known, max_trials=1, seed=best["trial"]))
    ours = result.epochs.to_pandas().query(f"trial == {best['trial']}").val_loss.to_list()
    assert straight.epochs.to_pandas().val_loss.to_list() == ours


def test_a_fit_that_cannot_go_on_is_never_paused(sweep, ray_cluster):
    spec = sweep(scheduler={"variant": "promotion"})
    deaf = "kwargs.pop('initial_epoch', 0)\n        return model.fit("
    text = spec.space.file.read_text().replace("return model.fit(", deaf)
    spec.space.file.write_text(text)
    with pytest.raises(SweepError, match="promotion needs a `fit` that goes on at `initial_epoch`"):
        run(spec)


def test_the_median_rule_stops_trials_in_a_sweep(sweep, ray_cluster):
    result = run(
        sweep(scheduler={"kind": "median", "max_epochs": 4}, max_trials=10, searcher={"kind": "random"})
    )
    trials = result.trials.to_pandas()
    assert set(trials.state) == {"COMPLETE", "PRUNED"}
    assert trials[trials.state == "PRUNED"].reason.str.match(r"below the median at epoch \d").all()


@pytest.mark.parametrize(
    ("where", "line"),
    [
        pytest.param("build", "model = keras.Sequential([", marks=pytest.mark.slow),
        ("fit", "trouble = self.trouble if"),
    ],
)
def test_a_space_that_hangs_while_it_is_discovered_ends_the_sweep(sweep, ray_cluster, tmp_path, where, line):
    spec = sweep(limits={"discovery": 40})
    hanging = f"open({str(tmp_path / 'hung')!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)\n        "
    text = spec.space.file.read_text().replace(line, hanging + line)
    spec.space.file.write_text(text)
    with pytest.raises(SweepError) as raised:
        run(spec)
    assert raised.value.where == "limits.discovery"
    number = text[: text.index("time.sleep(600)")].count("\n") + 1
    assert raised.value.received.startswith(f"line {number} of the space file, in {where}")
    (hung,) = (tmp_path / "hung").read_text().split()
    assert not psutil.pid_exists(int(hung)) and not spec.path.exists()


@pytest.mark.slow
def test_a_winner_that_hangs_is_registered_once_it_does_not(sweep, ray_cluster, tmp_path):
    model = {"register_winner": True, "registry": str(tmp_path / "registry")}
    spec = sweep(limits={"winner": 30}, model=model, max_trials=1)
    trained = tmp_path / "trained"
    begin = "def build(self, hp):"
    hanging = f"{begin}\n        time.sleep(600 * os.path.exists({str(trained)!r}))"
    spec.space.file.write_text(spec.space.file.read_text().replace(begin, hanging))
    with pytest.raises(
        SweepError, match="evaluating and exporting the winner must end within 30 s"
    ) as raised:
        run(spec, watch=lambda status: trained.touch() if status.finished else None)
    assert "of the space file, in build" in raised.value.received
    trained.unlink()
    assert resume(spec.path).outcome.model.startswith("sweep:")
