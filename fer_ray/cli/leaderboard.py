"""The leaderboard as a table, with the hyperparameters that fit."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search import SweepResult


def print_leaderboard(result: "SweepResult", top: int) -> None:
    """Prints the best trials of a sweep, best first."""
    from fer_ray.cli.console import print_table

    rows = [_row(row) for row in result.leaderboard(top)]
    title = f"{result.spec.name}: best {result.objective.metric}"
    print_table(
        title, rows, ["rank", "trial", "value", "epoch", "state", "seconds", "parameters", "hyperparameters"]
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    chosen = ", ".join(f"{name}={_short(value)}" for name, value in row["hyperparameters"].items())
    epochs = f"{row['best_epoch']}/{row['epochs']}"
    return {**row, "epoch": epochs, "seconds": f"{row['seconds']:.0f}", "hyperparameters": chosen}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
