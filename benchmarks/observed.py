"""A sweep whose driver is watched from outside (observed_driver.py), and how it compares with another one."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from ledgers import SPACE, Ledger
from ray_machines import RayMachines

if TYPE_CHECKING:
    from fer_ray.search import SweepResult

_DRIVER = Path(__file__).resolve().parent / "observed_driver.py"
_SECONDS_TO_WAIT = 300
_Found = TypeVar("_Found")


class ObservedSweep:
    """A sweep over spaces/ledger.py with a driver of its own, on the head of a cluster.

    Args:
        machines: The cluster.
        name: Of the sweep; its files lie in the cluster's folder.
        content: Of its sweep file, besides the space.
        pace: Seconds that its trials wait after each epoch.
    """

    def __init__(self, machines: RayMachines, name: str, content: dict[str, Any], pace: float) -> None:
        folder = machines.folder
        self.path, self.ledger = folder / "sweeps" / name, Ledger(folder / f"{name}-ledger.jsonl")
        self._pace, self._observed = folder / f"{name}-pace", folder / f"{name}-observed.jsonl"
        self._output = folder / f"{name}-output.txt"
        self._pace.write_text(str(pace))
        self._observed.touch()
        file = folder / f"{name}.yaml"
        arguments = {"ledger": str(self.ledger.path), "pace": str(self._pace)}
        spec = {
            "name": name,
            "space": {"file": str(SPACE), "arguments": arguments},
            "searcher": {"kind": "random"},
            "folder": str(folder / "sweeps"),
            "model": {"register_winner": False},
            "address": machines.address,
            **content,
        }
        file.write_text(yaml.safe_dump(spec))
        command = machines.network.command(1, sys.executable, str(_DRIVER), str(file), str(self._observed))
        self.started = time.time()
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=machines.environment,
                start_new_session=True,
            )

    def wait_for(self, found: Callable[[], _Found | None], what: str) -> _Found:
        """What is found, once it is, while the sweep runs.

        Raises:
            SystemExit: If the sweep ends before, or five minutes are over.
        """
        deadline = time.monotonic() + _SECONDS_TO_WAIT
        while not (one := found()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                why = "the sweep has ended" if self._process.poll() is not None else "five minutes are over"
                raise SystemExit(f"waiting until {what}: {why}\n{self._output.read_text()[-4000:]}")
            time.sleep(0.05)
        return one

    def hurry(self) -> None:
        """Its trials wait no more."""
        self._pace.write_text("0")

    def result(self) -> "SweepResult":
        """What it came to, once it has ended well.

        Raises:
            SystemExit: If it has not.
        """
        from fer_ray.search import load_result

        if self._process.wait(_SECONDS_TO_WAIT):
            raise SystemExit(f"the sweep failed:\n{self._output.read_text()[-4000:]}")
        return load_result(self.path)

    def stop(self) -> None:
        """Ends its driver if that still runs."""
        self._process.kill()
        self._process.wait()

    def turns(self) -> list[dict[str, Any]]:
        """Each time that the driver told how far it was."""
        return [line for line in self._lines() if line["kind"] == "turn"]

    def dead_since(self, address: str, since: float) -> dict[str, Any] | None:
        """When the head took a node for dead, after a moment, and what it said; None while it has not."""
        told = (line for line in self._lines() if line["kind"] == "node" and line["address"] == address)
        return next((line for line in told if line["time"] > since and not line["alive"]), None)

    def _lines(self) -> list[dict[str, Any]]:
        *lines, _ = self._observed.read_text().split("\n")
        return [json.loads(line) for line in lines]


def compare(sweep: ObservedSweep, result: "SweepResult", undisturbed: "SweepResult") -> dict[str, Any]:
    """The figures of a sweep that was disturbed."""
    account, study = sweep.ledger.hold_against(result), _study(result)
    ours, theirs = _epochs(result), _epochs(undisturbed)
    both = ours.keys() & theirs.keys()
    all_trained = result.spec.scheduler.kind == "none"
    assert result.best and undisturbed.best
    return {
        "ended": result.outcome.ended if result.outcome else None,
        "lost": account.lost,
        "doubled": account.doubled,
        "epochs": account.epochs,
        "epochs_repeated": account.repeated.total(),
        "epochs_repeated_max": max(account.repeated.values()),
        "trials": result.trials.num_rows,
        "failed_trials": sum(state == "FAIL" for state in result.trials["state"].to_pylist()),
        "retries_used": sum(trial.user_attrs.get("lost_workers", 0) for trial in study.trials),
        "driver_stood_still_s": _longest_silence(sweep.turns()),
        "most_trials_at_a_time": max(turn["running"] for turn in sweep.turns()),
        "epochs_compared": len(both),
        "epochs_that_differ": sum(ours[key] != theirs[key] for key in both),
        "decisions": sum("decision" in row for row in _journal(result)),
        "decisions_that_differ": _decided_otherwise(result),
        "winner": [result.best["trial"], result.best["value"]],
        "same_winner": _winner(result) == _winner(undisturbed) if all_trained else None,
    }


def _longest_silence(turns: list[dict[str, Any]]) -> float:
    """Seconds; the trials of a sweep that has ended are not waited for."""
    return round(max(after["time"] - before["time"] for before, after in pairwise(turns)), 1)


def _epochs(result: "SweepResult") -> dict[tuple[int, int], dict[str, Any]]:
    """All metrics of each epoch."""
    own = ("trial", "epoch", "timestamp", "seconds", "worker")
    return {
        (row["trial"], row["epoch"]): {key: value for key, value in row.items() if key not in own}
        for row in result.epochs.to_pylist()
    }


def _winner(result: "SweepResult") -> tuple[Any, ...]:
    assert result.best
    return result.best["trial"], result.best["value"], result.best["hyperparameters"]


def _journal(result: "SweepResult") -> list[dict[str, Any]]:
    from fer_ray.results.journal import EpochJournal

    return EpochJournal(result.path / "epochs.jsonl").read()


def _decided_otherwise(result: "SweepResult") -> int:
    """Epochs whose decision is not the one that their rungs give, asked anew in the order of the journal."""
    from fer_ray.search.history import make_rungs

    rungs, differ = make_rungs(result.spec), 0
    for row in _journal(result):
        if "advanced" in row:
            rungs.advance(row["trial"])
        else:
            decision = rungs.record(row["trial"], row["epoch"], row[result.objective.metric])
            differ += decision.value != row["decision"]
    return differ


def _study(result: "SweepResult") -> Any:
    import optuna

    from fer_ray.search.storage import open_storage

    return optuna.load_study(study_name=result.spec.study_name, storage=open_storage(result.spec))
