"""When each epoch was trained, in seconds from the first one's beginning."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: So long must nobody train for the time to be left out: a sweep that waits for a resume does not search.
LONGEST_PAUSE = 600.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """A sweep's epochs in time.

    Args:
        epochs: The epochs whose times are known, in the order of their ends, with the further columns ``began`` and
            ``ended``, seconds from the first beginning without the pauses, and ``failed``, whether their trial did.
        pauses: How long nobody trained, where that was more than `LONGEST_PAUSE` seconds; the seconds of each.
    """

    epochs: pd.DataFrame
    pauses: list[float]

    @property
    def seconds(self) -> float:
        """From the first epoch's beginning to the last one's end, without the pauses."""
        return float(self.epochs["ended"].max()) if len(self.epochs) else 0.0


def read_clock(epochs: pd.DataFrame, trials: pd.DataFrame) -> Clock:
    """Lays a sweep's epochs out in time.

    Args:
        epochs: An epoch table (`fer_ray.results.tables`) in pandas.
        trials: The trial table.
    """
    timed = epochs.dropna(subset=["timestamp", "seconds"])
    ended = timed["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy(np.float64) / 1e6
    began = ended - timed["seconds"].to_numpy(np.float64)
    order = np.argsort(began, kind="stable")
    latest = np.maximum.accumulate(ended[order])
    gaps = np.zeros(len(timed))
    gaps[1:] = began[order][1:] - latest[:-1]
    gaps[gaps <= LONGEST_PAUSE] = 0.0
    left_out = np.empty(len(timed))
    left_out[order] = np.cumsum(gaps)
    start = began.min() if len(timed) else 0.0
    failed = timed["trial"].isin(trials.loc[trials["state"] == "FAIL", "trial"])
    laid = timed.assign(began=began - start - left_out, ended=ended - start - left_out, failed=failed)
    return Clock(
        epochs=laid.sort_values(["ended", "trial", "epoch"], kind="stable", ignore_index=True),
        pauses=[float(gap) for gap in gaps if gap],
    )


def best_so_far(epochs: pd.DataFrame, metric: str, mode: str) -> pd.Series:
    """The best value of a metric up to each epoch, in the order of the rows; NaN before the first.

    What is not finite does not count, nor, as on the leaderboard, a value of a trial that failed.

    Args:
        epochs: A clock's.
        metric: The column.
        mode: ``max`` or ``min``.
    """
    values = epochs[metric].astype("float64")
    counted = values.where(np.isfinite(values) & ~epochs["failed"])
    best = counted.cummax() if mode == "max" else counted.cummin()
    return best.ffill()


def duration(seconds: float) -> str:
    """Such as ``42 s``, ``12 min 5 s`` or ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
