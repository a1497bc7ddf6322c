"""What a sweep optimises: one objective or several, each a metric and the direction that is better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["min", "max"]

#: What a model costs, whatever it has learnt: its weights, and milliseconds that one image takes.
PARAMETERS, LATENCY = "parameters", "latency_ms"
MODEL_MEASURES = (PARAMETERS, LATENCY)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric of a trial's epochs, or a measure of its model, and whether small or large is better.

    Args:
        metric: Such as ``val_accuracy``, ``parameters`` or ``latency_ms``.
        mode: ``max`` or ``min``.
    """

    metric: str
    mode: Mode

    def better(self, value: float, than: float | None) -> bool:
        """Whether a finite `value` beats `than`; anything finite beats None."""
        if not math.isfinite(value):
            return False
        if than is None:
            return True
        return value > than if self.mode == "max" else value < than


def values_in(metrics: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, float] | None:
    """The value of each objective after an epoch; None if one is missing, NaN or infinite."""
    found = {objective.metric: metrics.get(objective.metric) for objective in objectives}
    finite = {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
    return finite if len(finite) == len(found) else None
