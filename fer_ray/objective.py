"""What a sweep optimises: a metric and the direction that is better."""

import math
from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric of the epoch table and whether small or large is better.

    Args:
        metric: A column of the epoch table, such as ``val_accuracy``.
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
