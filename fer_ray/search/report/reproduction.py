"""One trial of a sweep as a sweep of its own, which trains it again exactly."""

import re
from typing import Any

from fer_ray.errors import SweepError
from fer_ray.files import sha256_of
from fer_ray.search.folder import SweepFolder
from fer_ray.search.result import SweepResult
from fer_ray.search.spec import SweepSpec


def reproduction(result: SweepResult, trial: int) -> SweepSpec:
    """The sweep that trains one trial again: its configuration, its seed, as many epochs of the same schedule.

    On one CPU thread each of its epochs gives the same numbers bit for bit. Its model is not registered.

    Args:
        result: Of the sweep that has the trial.
        trial: Its number.

    Raises:
        SweepError: If the sweep has no such trial, or that has trained no epoch.
    """
    row = next((row for row in result.leaderboard(max(1, len(result.trials))) if row["trial"] == trial), None)
    if row is None or not row["epochs"]:
        rule = "must be a trial with a result"
        raise SweepError(f"sweep {result.spec.name}", rule, f"trial {trial}")
    spec, space = result.spec, result.spec.space.model_dump(mode="json")
    kept = SweepFolder(result.path).space_file
    # What a space file imports lies beside it; the sweep's copy is taken where it was changed since.
    if not spec.space.file.is_file() or sha256_of(spec.space.file) != sha256_of(kept):
        space["file"] = str(kept)
    content: dict[str, Any] = {
        # The folder may have been renamed to what no sweep is called.
        "name": re.sub(r"[^A-Za-z0-9._-]+", "-", f"{spec.name}-trial-{trial}")[-100:].lstrip("._-"),
        "data": spec.data,
        "space": space,
        "objective": spec.model_dump(mode="json")["objective"],
        "searcher": {"kind": "random", "known": [row["hyperparameters"]]},
        "scheduler": {"kind": "none", "max_epochs": spec.scheduler.max_epochs},
        "max_trials": 1,
        "epoch_budget": row["epochs"],
        "concurrency": 1,
        "resources": spec.resources.model_dump(),
        # Its number is 0 there, and a trial's seed is the sweep's plus its number.
        "seed": (spec.seed + trial) % 2**31,
        "precision": spec.precision,
        "folder": str(spec.folder),
        "model": {"register_winner": False},
        "address": spec.address,
    }
    return SweepSpec.parse(content)
