"""The Ray cluster that a sweep runs on: a local one, one by address, or the one this process is connected to."""

import logging
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fer_ray.errors import SweepError
from fer_ray.search.spec import ResourcesSection


@contextmanager
def connected(address: str | None) -> Iterator[str]:
    """Connects for the time of a sweep; yields the dashboard's address, empty where there is none.

    A local cluster is started and stopped if `address` is None; a connection that is there already is used and
    left alone.

    Raises:
        SweepError: If the cluster cannot be started or reached.
    """
    if address is None and "ray" not in sys.modules:
        # Ray reads it on import; for local clusters it is the default, and a worker must agree.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield _dashboard()
        return
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else True,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray has no common class for what a start or a connection can meet
        where = f"Ray cluster {address}" if address else "local Ray cluster"
        raise SweepError(where, "must be reachable", " ".join(str(error).split())[:300]) from error
    try:
        yield _dashboard()
    finally:
        ray.shutdown()


def slots(resources: ResourcesSection) -> int:
    """How many trials the cluster can hold at a time.

    Raises:
        SweepError: If no node can hold one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    held: int = sum(
        math.floor(min(node.get("CPU", 0) / resources.cpu, _share(node.get("GPU", 0), resources.gpu)))
        for node in nodes
    )
    if held == 0:
        largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
        raise SweepError(
            "resources",
            f"a trial of {resources.cpu:g} CPUs and {resources.gpu:g} GPUs must fit on one node",
            f"the largest node has {largest.get('CPU', 0):g} CPUs and {largest.get('GPU', 0):g} GPUs",
            "Ask for less or add a node",
        )
    return held


def _share(available: float, wanted: float) -> float:
    return math.inf if wanted == 0 else available / wanted


def _dashboard() -> str:
    from ray._private.worker import get_dashboard_url

    url = get_dashboard_url()
    return f"http://{url}" if url else ""
