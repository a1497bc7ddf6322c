"""Sweeps: what to search, run on Ray Tune, remembered in an Optuna study.

    from fer_ray.search import SweepSpec, run

    result = run(SweepSpec.from_yaml("search_spaces/fer2013.yaml"))
    print(result.best)

Names are imported when they are first used, so that `fer_ray.search.rungs` comes without Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.search.overview import SweepOverview, SweepReader
    from fer_ray.search.planning import SweepPlan, plan
    from fer_ray.search.result import SweepResult, list_sweeps, load_result
    from fer_ray.search.spec import SweepSpec
    from fer_ray.search.status import SweepStatus
    from fer_ray.search.submission import Job, jobs, stop, submit
    from fer_ray.search.sweep import delete, resume, run, run_or_resume

__all__ = [
    "Job",
    "SweepOverview",
    "SweepPlan",
    "SweepReader",
    "SweepResult",
    "SweepSpec",
    "SweepStatus",
    "delete",
    "jobs",
    "list_sweeps",
    "load_result",
    "plan",
    "resume",
    "run",
    "run_or_resume",
    "stop",
    "submit",
]

_HOMES = {
    "Job": "submission",
    "SweepOverview": "overview",
    "SweepPlan": "planning",
    "SweepReader": "overview",
    "SweepSpec": "spec",
    "SweepStatus": "status",
    "delete": "sweep",
    "jobs": "submission",
    "plan": "planning",
    "resume": "sweep",
    "run": "sweep",
    "run_or_resume": "sweep",
    "stop": "submission",
    "submit": "submission",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'result')}"), name)
