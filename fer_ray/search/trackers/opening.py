"""The trackers that a sweep file names."""

import hashlib
from importlib.util import find_spec

from fer_ray.errors import ConfigError
from fer_ray.search.folder import SweepFolder
from fer_ray.search.spec import SweepSpec
from fer_ray.search.trackers.mlflow import MLflow
from fer_ray.search.trackers.tensorboard import TensorBoard
from fer_ray.search.trackers.tracking import Tracker
from fer_ray.search.trackers.wandb import WeightsAndBiases

#: Packages that are extras of fer_ray, by their keys in a sweep file, which are the extras' names too.
_EXTRAS = ("mlflow", "wandb")


def check_trackers(spec: SweepSpec) -> None:
    """Asks whether what the sweep's trackers need is installed where its driver runs.

    Raises:
        ConfigError: If a package is missing; it names the extra.
    """
    for extra in _EXTRAS:
        if getattr(spec.tracking, extra) is not None and not _is_installed(extra):
            where, rule = f"sweep {spec.name}: tracking.{extra}", f"needs the package {extra}"
            raise ConfigError(where, rule, "it is not installed", f"Run pip install 'fer-ray[{extra}]'")


def open_trackers(spec: SweepSpec) -> list[Tracker]:
    """The trackers of a sweep whose run has been noted in its folder; each connects once it is told of a trial."""
    wanted, path, metric = spec.tracking, spec.path.absolute(), spec.goal.metric
    trackers: list[Tracker] = []
    if wanted.tensorboard:
        trackers.append(TensorBoard(path / "tensorboard", metric))
    if wanted.mlflow is not None:
        trackers.append(MLflow(wanted.mlflow, path, identity(spec), metric))
    if wanted.wandb is not None:
        trackers.append(WeightsAndBiases(wanted.wandb, path, identity(spec), metric))
    return trackers


def identity(spec: SweepSpec) -> str:
    """Eight characters by which trackers tell a sweep from others of its name, such as one that was deleted."""
    started = SweepFolder(spec.path).read_runs()[0]["started"]
    return hashlib.sha256(f"{spec.study_name} {started}".encode()).hexdigest()[:8]


def _is_installed(module: str) -> bool:
    found = find_spec(module)
    # A folder of that name in the working directory, as Weights & Biases makes one, has no origin.
    return found is not None and found.origin is not None
