"""What a sweep found: the journal of its epochs, tables in Arrow and pandas, leaderboard, front, evaluations.

`evaluation`, `confusion_plot`, `predictions` and `report` import scikit-learn, matplotlib or plotly, and are
imported by their path; `load` imports pandas when it is first used.
"""

from typing import TYPE_CHECKING, Any

from fer_ray.results.front import pareto_front
from fer_ray.results.journal import EpochJournal
from fer_ray.results.leaderboard import leaderboard
from fer_ray.results.tables import epochs_table, read_tables, trials_table, write_tables

if TYPE_CHECKING:
    from fer_ray.results.frames import SweepFrames, load

__all__ = [
    "EpochJournal",
    "SweepFrames",
    "epochs_table",
    "leaderboard",
    "load",
    "pareto_front",
    "read_tables",
    "trials_table",
    "write_tables",
]


def __getattr__(name: str) -> Any:
    """Imports what needs pandas when it is first used."""
    if name not in ("SweepFrames", "load"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fer_ray.results import frames

    return getattr(frames, name)
