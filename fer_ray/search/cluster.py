"""The Ray cluster that a sweep runs on: a local one, one by address, or the one this process is connected to."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from fer_ray.errors import ClusterError, SweepError
from fer_ray.ray_connection import (
    connect_ray,
    head_address,
    head_answers,
    is_connected,
    require_connected_to,
    start_ray,
)
from fer_ray.search.autoscaling import can_add_node
from fer_ray.search.sections import ResourcesSection

_SECONDS_TO_ANSWER = 20


@contextmanager
def connected(address: str | None, metadata: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Connects for the time of a sweep.

    A connection that is there already is used and left alone. A local cluster is stopped afterwards.

    Args:
        address: As in a sweep file.
        metadata: Of the job that the cluster takes this process for.

    Raises:
        ClusterError: If the cluster cannot be started or reached, if this process is connected to another one, or
            if its head is gone when the body fails.
    """
    if is_connected():
        require_connected_to(address)
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    start_ray(metadata) if address == "local" else connect_ray(address, metadata)
    head = head_address()
    try:
        yield
    except Exception as error:
        if head_answers(head):
            raise
        raise _gone(head) from error
    finally:
        import ray

        ray.shutdown()


def _gone(head: str) -> ClusterError:
    remedy = "Results so far are kept; resume the sweep on a cluster that is up"
    return ClusterError(f"Ray cluster {head}", "its head must stay up", remedy=remedy)


def slots(resources: ResourcesSection) -> int:
    """How many trials the nodes of the cluster can hold at a time."""
    return sum(held_by(node, resources) for node in _nodes())


def require_slot(resources: ResourcesSection) -> None:
    """Whether there is a node for a trial, or an autoscaler adds one.

    Raises:
        SweepError: If no node can hold one.
    """
    if slots(resources) or can_add_node(resources):
        return
    largest = max(_nodes(), key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
    raise SweepError(
        "resources",
        f"a trial of {resources.cpu:g} CPUs and {resources.gpu:g} GPUs must fit on one node",
        f"the largest node has {largest.get('CPU', 0):g} CPUs and {largest.get('GPU', 0):g} GPUs",
        "Ask for less or add a node",
    )


def _nodes() -> list[dict[str, float]]:
    """What each node offers that lives.

    `ray.nodes` would wait for ever for the answer of a head that is gone.

    Raises:
        ClusterError: If the head does not answer.
    """
    from ray.core.generated.gcs_pb2 import GcsNodeInfo
    from ray.exceptions import RpcError
    from ray.experimental.internal_kv import internal_kv_get_gcs_client

    try:
        nodes = internal_kv_get_gcs_client().get_all_node_info(timeout=_SECONDS_TO_ANSWER).values()
    except RpcError as error:
        raise _gone(head_address()) from error
    return [dict(node.resources_total) for node in nodes if node.state == GcsNodeInfo.ALIVE]


def held_by(node: dict[str, float], resources: ResourcesSection) -> int:
    """How many trials a node of these resources can hold at a time."""
    return min(
        [math.floor(node.get("CPU", 0) / resources.cpu), *_held_by_gpus(node.get("GPU", 0), resources.gpu)]
    )


def _held_by_gpus(gpus: float, wanted: float) -> list[int]:
    """A trial that wants less than a whole GPU gets all of it from one."""
    if wanted == 0:
        return []
    if wanted < 1:
        return [math.floor(gpus) * math.floor(1 / wanted)]
    return [math.floor(gpus / wanted)]
