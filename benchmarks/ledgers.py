"""The ledger that the trials of spaces/ledger.py write, and what a sweep's study and tables have of it."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search import SweepResult

SPACE = Path(__file__).resolve().parent / "spaces/ledger.py"


@dataclass(frozen=True)
class Line:
    """An epoch that a trial's `fit` has finished.

    Args:
        configuration: Of the trial; no two trials of a sweep have the same.
        epoch: From 1.
        process: That trained it.
        node: Its node's LEDGER_NODE.
        time: Seconds since 1970.
    """

    configuration: str
    epoch: int
    process: int
    node: str
    time: float


@dataclass(frozen=True)
class Account:
    """A ledger held against a sweep.

    Args:
        lost: Epochs of the ledger that the epoch table has not, and trials of it that have no end in the study.
        doubled: Epochs twice in the journal or the table, and configurations twice among the trials.
        epochs: Of the ledger, each counted once.
        repeated: How often each configuration trained an epoch that it had trained before.
    """

    lost: int
    doubled: int
    epochs: int
    repeated: Counter[str]


class Ledger:
    """What is in the file by now.

    Args:
        path: The file; made, empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def read(self) -> list[Line]:
        """Its whole lines, in their order."""
        *lines, _ = self.path.read_text().split("\n")
        read = [json.loads(line) for line in lines]
        return [
            Line(_key(json.loads(one["values"])), one["epoch"], one["process"], one["node"], one["time"])
            for one in read
        ]

    def hold_against(self, result: "SweepResult") -> Account:
        """What a sweep that has ended made of it."""
        from fer_ray.results.journal import EpochJournal

        journal = [row for row in EpochJournal(result.path / "epochs.jsonl").read() if "epoch" in row]
        trials = result.trials.to_pylist()
        configurations = {row["trial"]: _key(json.loads(row["hyperparameters"])) for row in trials}
        table = [(configurations[row["trial"]], row["epoch"]) for row in result.epochs.to_pylist()]
        trained = Counter((line.configuration, line.epoch) for line in self.read())
        ended = {configurations[row["trial"]] for row in trials if row["state"] in ("COMPLETE", "PRUNED")}
        repeated: Counter[str] = Counter()
        for (configuration, _), times in trained.items():
            repeated[configuration] += times - 1
        return Account(
            lost=len(trained.keys() - set(table)) + len(repeated.keys() - ended),
            doubled=_twice((row["trial"], row["epoch"]) for row in journal)
            + _twice(table)
            + _twice(configurations.values()),
            epochs=len(trained),
            repeated=repeated,
        )


def _twice(things: Iterable[Hashable]) -> int:
    """How many of them were there before."""
    return sum(times - 1 for times in Counter(things).values())


def _key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
