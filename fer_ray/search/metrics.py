"""A sweep's figures among Ray's own metrics, for Prometheus to scrape and Grafana to draw.

Ray exports each under its name with `ray_` before it, from the node on which the driver runs. None is tagged with a
trial: each value of a tag stays for as long as the driver runs, and a sweep may have thousands.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search.status import SweepStatus

_EPOCH_SECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]


class SweepMetrics:
    """Tells Ray how a sweep is going.

    Args:
        sweep: Its name, the tag `sweep` of every figure.
        objective: The metric that the best value is of, its tag `objective`.
    """

    def __init__(self, sweep: str, objective: str) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        self._sweep = {"sweep": sweep}
        self._of_objective = {"sweep": sweep, "objective": objective}
        self._epochs = Counter("fer_ray_epochs", "Epochs trained", ("sweep",))
        self._seconds = Histogram("fer_ray_epoch_seconds", "Seconds of an epoch", _EPOCH_SECONDS, ("sweep",))
        self._trials = Gauge("fer_ray_trials", "Trials by state", ("sweep", "state"))
        self._best = Gauge("fer_ray_best_value", "The best objective so far", ("sweep", "objective"))
        self._utilisation = Gauge("fer_ray_utilisation", "Share of time inside training", ("sweep",))
        self._eta = Gauge("fer_ray_eta_seconds", "Seconds to go", ("sweep",))
        self._rungs = Gauge("fer_ray_rung_trials", "Trials that came to a rung", ("sweep", "epoch"))

    def epoch(self, row: dict[str, Any]) -> None:
        """Counts an epoch, which has the keys of the epoch table."""
        self._epochs.inc(1, self._sweep)
        self._seconds.observe(row["seconds"], self._sweep)

    def status(self, status: "SweepStatus") -> None:
        """Sets what the status has."""
        for state in ("running", "waiting", "paused", "finished", "stopped", "failed", "infeasible"):
            self._trials.set(getattr(status, state), {**self._sweep, "state": state})
        self._utilisation.set(status.utilisation, self._sweep)
        if status.best_value is not None:
            self._best.set(status.best_value, self._of_objective)
        if status.eta is not None:
            self._eta.set(status.eta, self._sweep)

    def rungs(self, epochs: Iterable[int], trained: Iterable[int]) -> None:
        """Sets how many trials came to each rung.

        Args:
            epochs: After which there is a rung.
            trained: How many epochs each trial has.
        """
        trained = list(trained)
        for epoch in epochs:
            reached = sum(length >= epoch for length in trained)
            self._rungs.set(reached, {**self._sweep, "epoch": str(epoch)})
