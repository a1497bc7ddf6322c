"""The spaces that ship, paused and gone on with in another process, are as if they had not been: bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from fer_ray.results.journal import EpochJournal
from fer_ray.search import SweepSpec, run
from fer_ray.search.folder import checkpoint_folder, journal_path
from fer_ray.training.checkpoint import CheckpointFolder

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACES = Path(__file__).parent.parent.parent / "search_spaces"
LIVELY = {
    "augment": True,
    "erase": 0.5,
    "mixup": 0.4,
    "schedule": "plateau",
    "head_dropout": 0.4,
    "class_weight": "sqrt",
}
BASELINE = {
    "space": {
        "file": str(SPACES / "baseline.py"),
        "arguments": {"filters": [4], "blocks": [2, 3], "batch_sizes": [32]},
    },
    "known": {**LIVELY, "blocks": 2, "conv_dropout": 0.2, "optimizer": "adamw"},
}
TRANSFER = {
    "space": {
        "file": str(SPACES / "transfer.py"),
        "arguments": {
            "backbones": ["squeezenet"],
            "weights": "none",
            "input_sizes": [32],
            "batch_sizes": [32],
        },
    },
    # The head trains for four epochs: the pause comes in that phase.
    "known": {**LIVELY, "trainable_blocks": "2", "head_epochs": 4, "optimizer": "sgd"},
}


@pytest.mark.parametrize("shipped", [BASELINE, TRANSFER], ids=["baseline", "transfer"])
def test_three_epochs_and_six_are_nine(tmp_path, faces, ray_cluster, shipped):
    def sweep(variant: str, **limits: float) -> tuple[list[dict], CheckpointFolder]:
        content = {
            "name": variant,
            "data": str(faces),
            "space": shipped["space"],
            "searcher": {"kind": "random", "known": [shipped["known"]]},
            "scheduler": {"variant": variant, "eta": 3, "grace": 3, "max_epochs": 9},
            "max_trials": 1,
            "limits": limits,
            "folder": str(tmp_path),
            "model": {"register_winner": False},
        }
        path = run(SweepSpec.parse(content)).path
        return EpochJournal(journal_path(path)).read(), CheckpointFolder(checkpoint_folder(path, 0))

    straight, expected = sweep("stopping")
    # A worker of more than one megabyte is replaced before it is given a trial again.
    lines, kept = sweep("promotion", worker_mb=1)
    paused = [line for line in lines if "epoch" in line]

    assert [line["epoch"] for line in paused] == [line["epoch"] for line in straight] == list(range(1, 10))
    assert [line["decision"] for line in paused][2] == "pause"
    assert [line.get("advanced", False) for line in lines] == [False] * 3 + [True] + [False] * 6
    assert {line["worker"] for line in paused[:3]}.isdisjoint(line["worker"] for line in paused[3:])
    assert len({line["worker"] for line in straight}) == 1
    own = {"seconds", "worker", "timestamp", "decision"}
    assert [curve(line, own) for line in paused] == [curve(line, own) for line in straight]

    one, other = kept.load(), expected.load()
    assert one.epoch == other.epoch
    for group in ("model", "optimizer", "best"):
        pairs = zip(getattr(one, group), getattr(other, group), strict=True)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    assert one.random_state == other.random_state
    assert repr(one.callbacks) == repr(other.callbacks)


def curve(line: dict, without: set[str]) -> dict:
    return {key: value for key, value in line.items() if key not in without}
