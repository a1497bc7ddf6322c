"""Distributed hyperparameter search for facial emotion recognition.

    import fer_ray

    faces = fer_ray.import_dataset("fer2013.csv", "data/fer2013")
    result = fer_ray.run(fer_ray.SweepSpec.from_yaml("my.yaml"))
    model = fer_ray.load_model(result.outcome.model)
    model.predict("face.jpg")

The names below are the way from faces to answers. The rest is in the rooms, such as `fer_ray.search.submit` and
`fer_ray.results.load`. Names and rooms are imported when they are first used; each room imports lower levels only:

    cli                                          level 4
    search (Ray Tune), serving (Ray Serve)       level 3
    training, export                             level 2
    data, spaces, results, registry, nodes       level 1
    errors, files, objective, pixels, ...        level 0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_ray.data import Dataset, open_dataset
    from fer_ray.data.importer import import_dataset
    from fer_ray.data.synthetic import draw_faces, write_synthetic
    from fer_ray.errors import FerRayError
    from fer_ray.registry import ModelVersion, Registry
    from fer_ray.search import (
        SweepPlan,
        SweepResult,
        SweepSpec,
        load_result,
        plan,
        resume,
        run,
        run_or_resume,
    )
    from fer_ray.search.report import Comparison, SweepReport, compare, make_report
    from fer_ray.serving import predict_files
    from fer_ray.serving.deploy import Endpoint, deploy
    from fer_ray.serving.local_model import LocalModel, load_model

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Dataset",
    "Endpoint",
    "FerRayError",
    "LocalModel",
    "ModelVersion",
    "Registry",
    "SweepPlan",
    "SweepReport",
    "SweepResult",
    "SweepSpec",
    "compare",
    "deploy",
    "draw_faces",
    "import_dataset",
    "load_model",
    "load_result",
    "make_report",
    "open_dataset",
    "plan",
    "predict_files",
    "resume",
    "run",
    "run_or_resume",
    "write_synthetic",
]

_NAMES = {
    "data": ("Dataset", "open_dataset"),
    "data.importer": ("import_dataset",),
    "data.synthetic": ("draw_faces", "write_synthetic"),
    "errors": ("FerRayError",),
    "registry": ("ModelVersion", "Registry"),
    "search": (
        "SweepPlan",
        "SweepResult",
        "SweepSpec",
        "load_result",
        "plan",
        "resume",
        "run",
        "run_or_resume",
    ),
    "search.report": ("Comparison", "SweepReport", "compare", "make_report"),
    "serving": ("predict_files",),
    "serving.deploy": ("Endpoint", "deploy"),
    "serving.local_model": ("LocalModel", "load_model"),
}
_ROOMS = (
    "data",
    "errors",
    "export",
    "nodes",
    "registry",
    "results",
    "search",
    "serving",
    "spaces",
    "training",
)
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a room, or a public name from its room."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
