"""What a model costs before it has learnt anything: weights and latency, held against a sweep's constraints."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fer_ray.errors import ConstraintError
from fer_ray.objective import LATENCY, PARAMETERS

if TYPE_CHECKING:
    from fer_ray.training.trial import TrialData

#: Milliseconds that one image takes a float32 model once it is served.
Latency = Callable[[Any], float]


def parameters_of(model: Any, data: "TrialData") -> int:
    """How many weights a model has; one without an `Input` gets its own on the way."""
    from fer_ray.training.epochs import build_on

    build_on(model, data.validation[0][:1])
    return int(model.count_params())


def measure_latency(
    model: Any, data: "TrialData", latency: Latency, constraints: Mapping[str, float]
) -> float:
    """The latency of a model that keeps its constraints.

    Args:
        model: In float32.
        data: The trial's.
        latency: Measures it; asked only if no other constraint is broken.
        constraints: As in `TrialConfig`.

    Raises:
        ConstraintError: If it breaks one.
        InfeasibleModelError: If its latency cannot be measured.
    """
    check_constraint(constraints, PARAMETERS, parameters_of(model, data))
    milliseconds = latency(model)
    check_constraint(constraints, LATENCY, milliseconds)
    return milliseconds


def check_constraint(constraints: Mapping[str, float], measure: str, value: float) -> None:
    """Nothing, if the measure may have this value.

    Raises:
        ConstraintError: If it is larger than the constraint allows.
    """
    if measure in constraints and value > constraints[measure]:
        rule = f"must be at most {constraints[measure]:,.10g} (constraints.max_{measure})"
        raise ConstraintError(measure, rule, f"{value:,.10g}", value=value)
