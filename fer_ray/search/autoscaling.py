"""Whether a cluster may grow: what Ray's autoscaler, in either of its two versions, tells of itself."""

import json
import time
from typing import Any

from fer_ray.search.sections import ResourcesSection

_SECONDS_TO_ANSWER = 30


def may_grow() -> bool:
    """Whether an autoscaler may add nodes to the cluster that this process is connected to.

    The first version tells the type of each node, and makes up one for each where none are configured. The second,
    which Kubernetes and Ray's cluster launcher use, does not say whether it can add any.
    """
    import ray
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
    from ray.autoscaler._private.util import format_readonly_node_type
    from ray.experimental.internal_kv import _internal_kv_get

    if _is_second_version():
        return True
    told = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS) or "{}").get("autoscaler_report") or {}
    made_up = {format_readonly_node_type(node["NodeID"]) for node in ray.nodes()}
    return bool(told.get("active_nodes", {}).keys() - made_up)


def can_add_node(resources: ResourcesSection) -> bool:
    """Whether the autoscaler has a type of node that can hold a trial.

    The second version is asked for the place of one, and answers within two rounds of its own. The first does not
    answer: what it can add comes.
    """
    import ray

    if not may_grow():
        return False
    if not _is_second_version():
        return True
    group = ray.util.placement_group([resources.bundle])
    try:
        return not _is_refused(group.id.hex())
    finally:
        ray.util.remove_placement_group(group)


def _is_second_version() -> bool:
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    return bool(is_autoscaler_v2(fetch_from_server=True))


def _is_refused(group: str) -> bool:
    """Whether the autoscaler says that no node it may add can hold a placement group, once it has seen it."""
    asked, deadline = None, time.monotonic() + _SECONDS_TO_ANSWER
    while time.monotonic() < deadline:
        status = _status()
        waits = any(
            group in one.details for one in status.cluster_resource_state.pending_gang_resource_requests
        )
        seen = status.autoscaling_state.last_seen_cluster_resource_state_version
        if asked is None and waits:
            asked = status.cluster_resource_state.cluster_resource_state_version
        if asked is not None and seen > asked:
            refused = status.autoscaling_state.infeasible_gang_resource_requests
            return any(group in one.details for one in refused)
        time.sleep(0.5)
    return False


def _status() -> Any:
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
    from ray.experimental.internal_kv import internal_kv_get_gcs_client

    reply = GetClusterStatusReply()
    reply.ParseFromString(internal_kv_get_gcs_client().get_cluster_status(timeout_s=_SECONDS_TO_ANSWER))
    return reply
