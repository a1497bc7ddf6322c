"""Sweeps that were never trained: memory, study, journal, tables and registry are real, curves are made up."""

import hashlib
import heapq
import itertools
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fer_ray.registry import Registry
from fer_ray.results.evaluation import PROTOCOLS, evaluate
from fer_ray.results.predictions import TEST_PREDICTIONS, write_predictions
from fer_ray.search import history, load_result
from fer_ray.search.folder import Outcome, SweepFolder
from fer_ray.search.memory import SweepMemory
from fer_ray.search.rows import write_sweep_tables
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.study import FailureKind
from fer_ray.spaces import Space

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CLASSES = ("angry <b>", "happy", "sad")


def entry(kind: str, name: str, conditions: tuple[Any, ...] = (), **config: Any) -> dict[str, Any]:
    config = {"name": name, "default": None, "conditions": list(conditions), **config}
    return {"class_name": kind, "config": config}


RATE = entry("Float", "rate", min_value=1e-4, max_value=1e-1, step=None, sampling="log")
UNITS = entry("Int", "units", min_value=8, max_value=64, step=8, sampling="linear")
WITH_SGD = {"class_name": "Parent", "config": {"name": "optimizer", "values": ["sgd"]}}
SPACE = [
    UNITS,
    RATE,
    entry("Choice", "optimizer", values=["adam", "sgd"], ordered=False),
    entry("Float", "momentum", (WITH_SGD,), min_value=0.0, max_value=0.9, step=None, sampling="linear"),
    entry("Choice", "batch_size", values=[16, 32, 64], ordered=True),
    entry("Boolean", "augment"),
    entry("Fixed", "classes", value=3),
]


def accuracy(values: dict[str, Any], epoch: int) -> dict[str, float]:
    """A curve that rises to what units and rate allow."""
    top = 0.3 + values.get("units", 8) / 128 - 0.1 * abs(math.log10(values.get("rate", 1e-2)) + 2)
    return {"val_accuracy": top * (1 - math.exp(-epoch / 3)), "val_loss": 2 - top}


class TooLarge(ValueError):
    """Of a configuration that breaks a constraint."""


def fails_with_few_units(values: dict[str, Any], epoch: int) -> dict[str, float]:
    """Training breaks with the fewest units, and diverges with a few more; as many again are infeasible."""
    if values["units"] == 24:
        raise TooLarge("too <i>large</i>")
    if values["units"] == 8:
        raise ValueError("the <i>disk</i> of images has a hole")
    found = accuracy(values, epoch)
    return {**found, "val_accuracy": math.nan} if values["units"] == 16 else found


Curve = Callable[[dict[str, Any], int], dict[str, float]]


class _VirtualClock:
    """In place of `datetime` where epochs are written down."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self, zone: Any) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def fromisoformat(self, text: str) -> datetime:
        return datetime.fromisoformat(text)


def play(
    folder: Path,
    name: str = "faces",
    *,
    space: list[dict[str, Any]] = SPACE,
    curve: Curve = accuracy,
    seconds: float = 10.0,
    epochs: int = 10**9,
    fingerprint: str = "ab" * 32,
    **changes: Any,
) -> Path:
    """Plays a sweep on two workers in virtual time; after so many epochs it is killed.

    Returns:
        Its folder.
    """
    (folder / "space.py").write_text("def build(hp): ...\n")
    content = {
        "name": name,
        "data": "data/drawn",
        "space": {"file": str(folder / "space.py")},
        "searcher": {"kind": "random"},
        "scheduler": {"eta": 3, "grace": 1, "max_epochs": 9},
        "max_trials": 16,
        "folder": str(folder / "sweeps"),
        "model": {"registry": str(folder / "registry")},
    }
    spec = SweepSpec.parse({**content, **changes})
    sweep = SweepFolder.create(spec)
    discovered = {"space": {"space": space, "values": {}}, "data": fingerprint, "infeasible": []}
    sweep.discovery_file.write_text(json.dumps(discovered))
    spec, clock = sweep.spec(), _VirtualClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "datetime", clock)
        memory = _Player(spec, Space.from_config({"space": space}), curve, seconds, clock).run(epochs)
    if memory.ended is not None:
        trained = sum(seen.seconds for seen in memory.progressed.values())
        costs = {"seconds": clock.seconds, "training_seconds": trained, "workers": 2}
        used = trained / max(2 * clock.seconds, 1)
        sweep.write_outcome(Outcome(ended=memory.ended, utilisation=used, **costs))
        write_sweep_tables(sweep.path, spec, open_storage(spec))
    return sweep.path


class _Player:
    def __init__(
        self, spec: SweepSpec, space: Space, curve: Curve, seconds: float, clock: _VirtualClock
    ) -> None:
        self.memory = SweepMemory(spec, space, open_storage(spec))
        self.curve, self.seconds, self.clock = curve, seconds, clock
        self.free, self.busy, self.order = ["a-1", "b-2"], [], itertools.count()

    def run(self, epochs: int) -> SweepMemory:
        while True:
            while self.free and (proposal := self.memory.propose()) is not None:
                self.begin(self.free.pop(0), proposal.number, proposal.values, 1)
            if not self.busy or not epochs:
                return self.memory
            self.clock.seconds, _, *trial = heapq.heappop(self.busy)
            epochs -= self.end_epoch(*trial)

    def begin(self, worker: str, number: int, values: dict[str, Any], epoch: int) -> None:
        lasts = self.seconds * (1 + number % 3 / 10)
        ends = self.clock.seconds + lasts + (2.0 if epoch == 1 else 0.0)
        heapq.heappush(self.busy, (ends, next(self.order), worker, number, values, epoch, lasts))

    def end_epoch(self, worker: str, number: int, values: dict[str, Any], epoch: int, lasts: float) -> bool:
        try:
            metrics = self.curve(values, epoch)
        except ValueError as error:
            kind = FailureKind.INFEASIBLE if isinstance(error, TooLarge) else FailureKind.TRAINING
            self.memory.close(number, str(error), kind)
            self.free.append(worker)
            return False
        row = {"trial": number, "epoch": epoch, "seconds": lasts, "worker": worker, "parameters": 1000}
        decision = self.memory.record_epoch({**row, **metrics})
        if decision is Decision.CONTINUE and self.memory.goes_on(number, decision):
            self.begin(worker, number, values, epoch + 1)
        else:
            self.memory.close(number)
            self.free.append(worker)
        return True


def register(sweep: Path, right: float, seed: int = 0, images: int = 200, predictions: bool = True) -> None:
    """Registers the sweep's winner with an evaluation in which about this share of the images is right."""
    folder = SweepFolder(sweep)
    spec, outcome = folder.spec(), folder.read_outcome()
    best = load_result(sweep).best
    made = sweep / "winner"
    made.mkdir()
    (made / "model.onnx").write_bytes(hashlib.sha256(sweep.name.encode()).digest())
    pixels = np.random.default_rng(7).integers(0, 256, (images, 4, 4, 1), np.uint8)
    labels = np.arange(images) % 3
    random = np.random.default_rng(seed)
    answers = np.where(random.random(images) < right, labels, (labels + 1) % 3)
    probabilities = np.eye(3, dtype=np.float32)[answers]
    found = evaluate(labels, probabilities, CLASSES, protocol=PROTOCOLS["test"])
    if predictions:
        write_predictions(made / TEST_PREDICTIONS, pixels, labels, probabilities)
    fields = {
        "labels": list(CLASSES),
        "input_shape": [4, 4, 1],
        "engines": {"onnx": "model.onnx"},
        "default_engine": "onnx",
        "hyperparameters": best["hyperparameters"],
        "sweep": {"name": spec.name, "trial": best["trial"]},
        "data": {"name": "drawn faces", "fingerprint": "ab" * 32},
        "metrics": {"test": found.to_dict() | {"engine": "onnx"}},
    }
    version = Registry(spec.model.registry).register(spec.name, made, fields)
    named = {**vars(outcome), "model": str(version.reference), "winner": best["trial"]}
    folder.write_outcome(Outcome(**named))


@pytest.fixture(scope="session")
def made_up() -> SimpleNamespace:
    """What the tests of this folder make sweeps with."""
    return SimpleNamespace(play=play, register=register, space=SPACE, accuracy=accuracy)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with failures and a registered winner."""
    sweep = play(tmp_path_factory.mktemp("finished"), curve=fails_with_few_units, seed=3)
    register(sweep, 0.8)
    return sweep
