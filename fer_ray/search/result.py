"""Reading a sweep's results, finished or not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_ray.errors import FerRayError
from fer_ray.objective import Objective
from fer_ray.results.front import pareto_front
from fer_ray.results.leaderboard import leaderboard
from fer_ray.results.tables import read_tables
from fer_ray.search.folder import Outcome, SweepFolder
from fer_ray.search.rows import write_sweep_tables
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.study import UNCOUNTED


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """A sweep's results, finished or not.

    Args:
        spec: The resolved sweep file.
        path: Its folder.
        trials: The trial table, see `fer_ray.results.tables`.
        epochs: The epoch table.
        outcome: How the last run ended; None while it runs, or if it was killed.
    """

    spec: SweepSpec
    path: Path
    trials: pa.Table
    epochs: pa.Table
    outcome: Outcome | None

    @property
    def objective(self) -> Objective:
        """What was optimised; of several objectives the primary."""
        return self.spec.goal

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All that was optimised, the primary first."""
        return self.spec.goals

    def leaderboard(self, n: int = 10) -> list[dict[str, Any]]:
        """The best trials, best first."""
        return leaderboard(self.trials, self.objective, n)

    @property
    def front(self) -> list[dict[str, Any]]:
        """The Pareto front over all objectives, see `fer_ray.results.pareto_front`; empty if there is one only."""
        return pareto_front(self.trials, self.objectives) if len(self.objectives) > 1 else []

    @property
    def best(self) -> dict[str, Any] | None:
        """The best trial, or None."""
        return next(iter(self.leaderboard(1)), None)


def load_result(path: str | Path) -> SweepResult:
    """The results of a sweep, also of one that is running or was killed.

    Args:
        path: The sweep's folder.

    Raises:
        SweepError: If it is none, or its study cannot be reached.
    """
    folder = SweepFolder.open(path)
    spec = folder.spec()
    if not folder.has_final_tables():
        write_sweep_tables(folder.path, spec, open_storage(spec))
    trials, epochs = read_tables(folder.path)
    return SweepResult(
        spec=spec, path=folder.path, trials=trials, epochs=epochs, outcome=folder.read_outcome()
    )


def list_sweeps(folder: str | Path = "sweeps") -> list[dict[str, Any]]:
    """One row per sweep: name, state, trials that count against `max_trials`, best value, model.

    Args:
        folder: Where sweeps lie.
    """
    return [_row(file.parent) for file in sorted(Path(folder).glob("*/sweep.yaml"))]


def _row(path: Path) -> dict[str, Any]:
    try:
        result = load_result(path)
    except FerRayError as error:
        return {"name": path.name, "state": f"unreadable: {error}"}
    best, outcome = result.best, result.outcome
    ended = outcome.ended if outcome else "starting or killed"
    return {
        "name": result.spec.name,
        "state": "running" if SweepFolder(path).is_running() else ended,
        "trials": sum(failure not in UNCOUNTED for failure in result.trials["failure"].to_pylist()),
        "objective": result.objective.metric,
        "best": best["value"] if best else None,
        "model": outcome.model if outcome else None,
    }
