"""What the cluster of this machine does: its processes say who lives, its dashboard who works."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from fer_ray.errors import ClusterError
from fer_ray.nodes.processes import find_processes, is_ours
from fer_ray.nodes.state import Cluster, read_own_cluster, state_folder, state_option

_SECONDS_TO_ANSWER = 5.0
#: Ray's words, such as "1.0/2.0 CPU".
_USAGE = re.compile(r"^\s*([\d.]+)/([\d.]+) (CPU|GPU)\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One node.

    Attributes:
        state: ``alive``; ``dead`` once its process has ended; ``lost`` where it lives and the head
            does not count it.
        pid: Of its `ray start`.
        cpus, gpus: That it offers.
        cpus_in_use, gpus_in_use: Reserved by trials and replicas some seconds ago; None where nothing is known.
    """

    name: str
    state: str
    pid: int
    cpus: int
    cpus_in_use: float | None
    gpus: int
    gpus_in_use: float | None


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A program that uses the cluster, or has.

    Attributes:
        job: Ray's id.
        status: Ray's word: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
        command: That started it.
    """

    job: str
    status: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """Of a cluster that `up` started.

    Attributes:
        address: Of the head, host:port.
        token: The file that holds it.
        is_answering: Whether the dashboard answers; without it, only processes are known.
        processes: How many the cluster has on this machine.
    """

    address: str
    dashboard_url: str
    token: str
    is_answering: bool
    processes: int
    nodes: tuple[NodeStatus, ...]
    jobs: tuple[JobStatus, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def status(state: Path | None = None) -> ClusterStatus:
    """Reads what the cluster does now.

    Args:
        state: Where it is kept; see `fer_ray.nodes.state`.

    Raises:
        ClusterError: If none is up, or it is another machine's.
    """
    cluster = read_own_cluster(state)
    processes = len(find_processes(cluster)) if cluster else 0
    if cluster is None or not processes:
        gone = "its processes are gone, as after a reboot" if cluster else ""
        remedy = f"Start one with `fer-ray cluster up --nodes 2{state_option(state_folder(state))}`"
        raise ClusterError("Ray cluster", "must be up", gone, remedy)
    in_ray = _ray_nodes(cluster)
    return ClusterStatus(
        address=cluster.address,
        dashboard_url=cluster.dashboard_url,
        token=str(cluster.token_file),
        is_answering=in_ray is not None,
        processes=processes,
        nodes=tuple(_node_status(cluster, number, in_ray) for number in range(len(cluster.nodes))),
        jobs=_jobs(cluster),
    )


def alive_in_ray(cluster: Cluster) -> int:
    """How many nodes the head counts as alive; 0 while the dashboard does not answer."""
    return sum(node["state"] == "ALIVE" for node in (_ray_nodes(cluster) or {}).values())


def _node_status(cluster: Cluster, number: int, in_ray: dict[str, dict[str, Any]] | None) -> NodeStatus:
    node = cluster.nodes[number]
    found = (in_ray or {}).get(node.name, {})
    if not is_ours(node.pid, cluster):
        state = "dead"
    elif in_ray is None or found.get("state") == "ALIVE":
        state = "alive"
    else:
        state = "lost"
    usage = found.get("usage", {}) if state == "alive" else {}
    return NodeStatus(
        name=node.name,
        state=state,
        pid=node.pid,
        cpus=node.cpus,
        cpus_in_use=usage.get("CPU"),
        gpus=node.gpus,
        gpus_in_use=usage.get("GPU"),
    )


def _ray_nodes(cluster: Cluster) -> dict[str, dict[str, Any]] | None:
    """Name to Ray's state and usage of each node; None while the dashboard does not answer."""
    content = _ask(cluster, "/nodes?view=summary")
    if content is None:
        return None
    usage = content["data"]["nodeLogicalResources"]
    found = {}
    for node in content["data"]["summary"]:
        raylet = node["raylet"]
        used = _USAGE.findall(usage.get(raylet["nodeId"], ""))
        in_use = {resource: float(amount) for amount, _, resource in used}
        found[raylet["nodeName"]] = {"state": raylet["state"], "usage": in_use}
    return found


def _jobs(cluster: Cluster) -> tuple[JobStatus, ...]:
    jobs = _ask(cluster, "/api/jobs/") or []
    newest_first = sorted(jobs, key=lambda job: job.get("start_time") or 0, reverse=True)
    return tuple(
        JobStatus(
            job=job.get("submission_id") or job.get("job_id") or "",
            status=job["status"],
            command=job["entrypoint"],
        )
        for job in newest_first
    )


def _ask(cluster: Cluster, path: str) -> Any:
    """What the dashboard answers, as JSON; None if it does not."""
    try:
        token = cluster.token_file.read_text()
        # No proxy of the environment's: it is on loopback.
        with httpx.Client(trust_env=False, timeout=_SECONDS_TO_ANSWER) as client:
            answer = client.get(cluster.dashboard_url + path, headers={"Authorization": f"Bearer {token}"})
            return answer.raise_for_status().json()
    except (OSError, httpx.HTTPError, ValueError):
        return None
