"""What a sweep found: the journal of its epochs, tables in Arrow, leaderboard, Pareto front, evaluations and plots.

`evaluation` and `confusion_plot` import scikit-learn and matplotlib and are imported by their path.
"""

from fer_ray.results.front import pareto_front
from fer_ray.results.journal import EpochJournal
from fer_ray.results.leaderboard import leaderboard
from fer_ray.results.tables import epochs_table, read_tables, trials_table, write_tables

__all__ = [
    "EpochJournal",
    "epochs_table",
    "leaderboard",
    "pareto_front",
    "read_tables",
    "trials_table",
    "write_tables",
]
