"""Checkpoints: what goes in comes out, only the newest is kept, and a kill leaves one that loads."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fer_ray.errors import FailedTrialError
from fer_ray.training.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    global_random_state,
    set_global_random_state,
)


def make_checkpoint(epoch=1, **changes):
    fields = {
        "model": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.uint32)],
        "optimizer": [np.array(3, np.int64), np.full((2, 3), 0.5, np.float32)],
        "callbacks": [],
        "best": [np.zeros((2, 3), np.float32), np.array(1, np.uint32)],
        "best_epoch": 1,
        "best_value": 0.25,
    }
    return Checkpoint(epoch=epoch, **{**fields, **changes})


def through(folder, checkpoint):
    folder.save(checkpoint)
    return folder.load()


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "trial")


def assert_equal_arrays(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def test_an_empty_folder_has_none(folder):
    assert folder.load() is None


def test_arrays_keep_order_type_and_shape(folder):
    # More than ten, so that an order by text would show.
    model = [np.full((i,), i, np.float32) for i in range(25)]
    checkpoint = make_checkpoint(model=model)
    found = through(folder, checkpoint)
    for group in ("model", "optimizer", "best"):
        assert_equal_arrays(getattr(found, group), getattr(checkpoint, group))
    assert (found.epoch, found.best_epoch, found.best_value) == (1, 1, 0.25)


@pytest.mark.parametrize("value", [None, -0.0, 5e-324, 0.1 + 0.2, 1e308])
def test_the_best_value_is_exact(folder, value):
    assert repr(through(folder, make_checkpoint(best_value=value)).best_value) == repr(value)


def test_the_state_of_callbacks_comes_back_as_it_was(folder):
    state = {
        "wait": 2,
        "best": np.float32(0.75),
        "history": {"loss": [0.5, float("inf")], 3: (1, ("a", None)), None: {}},
        "weights": [np.ones((2, 2), np.float32), np.zeros(0, np.int8)],
        "flag": np.bool_(True),
        "text": "ä",
        "nothing": [],
        "looks like a reference": {"array": "model/00000", "scalar": False},
    }
    found = through(folder, make_checkpoint(callbacks=[{}, state])).callbacks
    assert found[0] == {}
    assert_equal_arrays(found[1].pop("weights"), state.pop("weights"))
    assert found[1] == state
    assert isinstance(found[1]["best"], np.float32)
    assert isinstance(found[1]["flag"], np.bool_)
    assert isinstance(found[1]["history"][3], tuple)


def test_the_global_generators_go_on_where_they_were(folder):
    random.seed(3)
    np.random.seed(4)
    np.random.standard_normal()  # Leaves a second normal number in the generator.
    state = global_random_state()
    expected = [random.random(), random.gauss(0, 1), *np.random.standard_normal(3)]
    found = through(folder, make_checkpoint(random_state=state))
    random.seed(0)
    np.random.seed(0)
    set_global_random_state(found.random_state)
    assert [random.random(), random.gauss(0, 1), *np.random.standard_normal(3)] == expected


def test_only_the_newest_is_kept(folder):
    for epoch in (1, 2, 9, 10, 100):
        folder.save(make_checkpoint(epoch))
        assert [file.name for file in folder.path.iterdir()] == [f"epoch-{epoch:05d}.npz"]
        assert folder.load().epoch == epoch


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_torn_file_is_refused_by_name(folder, keep):
    folder.save(make_checkpoint(4))
    (file,) = folder.path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(FailedTrialError, match=r"epoch-00004\.npz: must be a whole checkpoint"):
        folder.load()


def test_an_archive_of_something_else_is_refused(folder):
    folder.path.mkdir()
    np.savez(folder.path / "epoch-00001.npz", weights=np.zeros(3))
    with pytest.raises(FailedTrialError, match="must be a whole checkpoint"):
        folder.load()


def test_a_newer_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr("fer_ray.training.checkpoint.FORMAT_VERSION", 2)
    folder.save(make_checkpoint())
    monkeypatch.undo()
    with pytest.raises(FailedTrialError, match="was written by a newer fer_ray"):
        folder.load()


SAVES = """
import sys
from pathlib import Path
import numpy as np
from fer_ray.training.checkpoint import Checkpoint, CheckpointFolder

folder = CheckpointFolder(Path(sys.argv[1]))
for epoch in range(1, 100000):
    arrays = [np.full(300000, epoch, np.int32)]
    folder.save(Checkpoint(epoch=epoch, model=arrays, optimizer=[], callbacks=[{"epoch": epoch}], best=arrays,
                           best_epoch=epoch, best_value=float(epoch)))
"""


def test_a_kill_while_saving_leaves_a_checkpoint_that_loads(tmp_path):
    reached = set()
    for attempt in range(6):
        path = tmp_path / str(attempt)
        process = subprocess.Popen([sys.executable, "-c", SAVES, str(path)])
        try:
            deadline = time.monotonic() + 60
            while not list(path.glob("epoch-*.npz")):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(0.02 + 0.017 * attempt)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        checkpoint = CheckpointFolder(path).load()
        assert checkpoint.callbacks == [{"epoch": checkpoint.epoch}]
        assert checkpoint.best_value == checkpoint.epoch
        assert set(checkpoint.model[0]) == set(checkpoint.best[0]) == {checkpoint.epoch}
        reached.add(checkpoint.epoch)
    assert max(reached) > 1
