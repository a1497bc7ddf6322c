"""Sweeps: what to search, run on Ray Tune, remembered in an Optuna study.

    from fer_ray.search import SweepSpec, run

    result = run(SweepSpec.from_yaml("search_spaces/fer2013.yaml"))
    print(result.best)

Names are imported when they are first used, so that `fer_ray.search.rungs` comes without Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search.planning import SweepPlan, plan
    from fer_ray.search.result import SweepResult, list_sweeps, load_result
    from fer_ray.search.spec import SweepSpec
    from fer_ray.search.status import SweepStatus
    from fer_ray.search.sweep import resume, run

__all__ = [
    "SweepPlan",
    "SweepResult",
    "SweepSpec",
    "SweepStatus",
    "list_sweeps",
    "load_result",
    "plan",
    "resume",
    "run",
]

_HOMES = {
    "SweepPlan": "planning",
    "SweepSpec": "spec",
    "SweepStatus": "status",
    "plan": "planning",
    "resume": "sweep",
    "run": "sweep",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'result')}"), name)
