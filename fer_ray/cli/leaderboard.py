"""The leaderboard as a table."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search import SweepResult


_COLUMNS = ["rank", "trial", "value", "epoch", "state", "seconds", "parameters", "latency_ms"]


def print_leaderboard(result: "SweepResult", top: int) -> None:
    """Prints the best trials of a sweep, best first, and the hyperparameters of the first."""
    from fer_ray.cli.console import print_table, stdout

    rows = result.leaderboard(top)
    title = f"{result.spec.name}: best {result.objective.metric}"
    print_table(title, [_row(row) for row in rows], _measured(rows, _COLUMNS))
    if rows:
        chosen = ", ".join(f"{name} {_short(value)}" for name, value in rows[0]["hyperparameters"].items())
        stdout.print(f"Trial {rows[0]['trial']}: {chosen}", highlight=False, markup=False)


def print_front(result: "SweepResult") -> None:
    """Prints the Pareto front of a sweep with several objectives, the best in the primary one first."""
    from fer_ray.cli.console import print_table

    rows, metrics = result.front, [objective.metric for objective in result.objectives]
    shown = [{**_row(row), **row["values"]} for row in rows]
    further = [name for name in ("parameters", "latency_ms") if name not in metrics]
    columns = _measured(rows, ["trial", *metrics, "epoch", "state", "seconds", *further])
    print_table(f"{result.spec.name}: Pareto front of {' and '.join(metrics)}", shown, columns)


def _measured(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """The columns without the latency, where it was not measured."""
    return [name for name in columns if name != "latency_ms" or any(row[name] is not None for row in rows)]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "epoch": f"{row['best_epoch']} of {row['epochs']}", "seconds": f"{row['seconds']:.0f}"}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
