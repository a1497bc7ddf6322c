"""Sweeps: what to search, run on Ray Tune, remembered in an Optuna study.

from fer_ray.search import SweepSpec, run

result = run(SweepSpec.from_yaml("search_spaces/fer2013.yaml"))
print(result.best)
"""

from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import SweepStatus
from fer_ray.search.sweep import SweepResult, list_sweeps, load_result, resume, run

__all__ = ["SweepResult", "SweepSpec", "SweepStatus", "list_sweeps", "load_result", "resume", "run"]
