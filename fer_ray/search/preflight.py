"""What would let a sweep fail on a node an hour later, found out on every node before anything starts."""

import importlib.util
import os
import shutil
import socket
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_ray.errors import SweepError
from fer_ray.search.sections import ResourcesSection

#: Trials import them on their workers; `backend()` comes on top.
_MODULES = ("fer_ray", "keras", "keras_tuner", "numpy", "psutil")
#: A checkpoint of a small network is a few megabytes, and a sweep keeps one for each trial that is under way.
_LEAST_FREE_MB = 100
_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """What a node sees.

    Args:
        name: Its host's.
        missing: Modules that it lacks.
        shares: Whether it sees a file that the driver has just written, and may write beside it.
        free_mb: Room on the disk to which Ray writes logs, and objects that memory does not hold; in MB.
    """

    name: str
    missing: tuple[str, ...]
    shares: bool
    free_mb: float


def check_nodes(folder: Path, resources: ResourcesSection, packages: Sequence[str] = ()) -> None:
    """Looks at every node that can hold a trial.

    Args:
        folder: The sweep's; it exists.
        resources: Of one trial.
        packages: What the space imports.

    Raises:
        SweepError: If the folder or a disk is full, or a node does not share the folder or lacks a package.
    """
    import ray

    _check_disk(folder)
    here = ray.get_runtime_context().get_node_id()
    nodes = [node for node in ray.nodes() if node["Alive"] and _can_hold(node["Resources"], resources)]
    with _mark(folder) as mark:
        others = [node["NodeID"] for node in nodes if node["NodeID"] != here]
        views = _look_around(mark, packages, others)
        if any(node["NodeID"] == here for node in nodes):
            views.append(look_around(mark, packages))
    # What no node has, discovery tells, with the error of the import.
    unknown = set(packages).intersection(*(view.missing for view in views))
    for view in views:
        _check(view, folder, unknown)


def look_around(mark: Path, packages: Sequence[str]) -> NodeView:
    """Runs on a node: what it sees of the mark, a file of the driver in the folder, of packages and its disk."""
    from ray._private.worker import _global_node

    needed = dict.fromkeys((*_MODULES, backend(), *packages))
    return NodeView(
        name=socket.gethostname(),
        missing=tuple(name for name in needed if importlib.util.find_spec(name) is None),
        shares=_sees(mark),
        free_mb=shutil.disk_usage(_global_node.get_session_dir_path()).free / 1e6,
    )


def backend() -> str:
    """The module of Keras's backend, TensorFlow unless the environment says otherwise."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def _sees(mark: Path) -> bool:
    try:
        beside = mark.with_name(f"{mark.name}-{uuid.uuid4().hex[:8]}")
        beside.write_text(mark.read_text())
        beside.unlink()
    except OSError:
        return False
    return True


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    mark = folder.absolute() / f".mark-{uuid.uuid4().hex[:8]}"
    try:
        mark.write_text("seen")
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free / 1e6
    if free < _LEAST_FREE_MB:
        raise SweepError(
            f"sweep {folder}",
            f"must have room for checkpoints, at least {_LEAST_FREE_MB} MB",
            f"{free:.0f} MB are free",
            "Make room, or name another `folder`",
        )


def _can_hold(offered: dict[str, float], wanted: ResourcesSection) -> bool:
    return offered.get("CPU", 0) >= wanted.cpu and offered.get("GPU", 0) >= wanted.gpu


def _look_around(mark: Path, packages: Sequence[str], nodes: list[str]) -> list[NodeView]:
    """Of other nodes than the driver's, all at a time."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not nodes:
        return []
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(look_around)
    views = [
        remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            mark, packages
        )
        for node in nodes
    ]
    try:
        found: list[NodeView] = ray.get(views, timeout=_SECONDS)
    except ray.exceptions.GetTimeoutError as error:
        raise SweepError(
            "cluster", f"every node must answer within {_SECONDS} s", f"{len(nodes)} asked"
        ) from error
    except ray.exceptions.RayError as error:
        reason = " ".join(str(getattr(error, "cause", None) or error).split())[:300]
        rule, remedy = (
            "every node must be able to run fer_ray",
            "Install it there, or use `fer-ray sweep submit`",
        )
        raise SweepError("cluster", rule, reason, remedy) from error
    return found


def _check(view: NodeView, folder: Path, unknown: Collection[str] = ()) -> None:
    missing = [name for name in view.missing if name not in unknown]
    if missing:
        raise SweepError(
            f"node {view.name}",
            "must have what trials import",
            f"it lacks {', '.join(missing)}",
            "Install fer_ray with its TensorFlow extra there, and what the space imports",
        )
    if view.free_mb < _LEAST_FREE_MB:
        raise SweepError(
            f"node {view.name}",
            f"must have room where Ray keeps its logs, at least {_LEAST_FREE_MB} MB",
            f"{view.free_mb:.0f} MB are free",
            "Make room there, or start Ray with another --temp-dir",
        )
    if not view.shares:
        raise SweepError(
            f"node {view.name}",
            "must see the sweep's folder, where checkpoints lie, and may write there",
            str(folder),
            "Name a `folder` on storage that all nodes share under this path",
        )
