"""The Ray cluster that serves: a local one of this process, or one that runs already."""

import logging
import os
from dataclasses import dataclass
from importlib import import_module

from fer_ray.errors import ClusterError, ServingError
from fer_ray.ha_proxy import HA_PROXY, QUIET, HaProxySettings, is_loopback, prepare_environment
from fer_ray.ports import is_free
from fer_ray.ray_connection import (
    connect_ray,
    dashboard_url,
    head_address,
    is_connected,
    require_connected_to,
    start_ray,
)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """To a Ray cluster.

    Attributes:
        address: Of its head, host:port.
        dashboard_url: Empty where it has none.
        settings: HAProxy's where `start_cluster` started it, else None.
        is_connected_here: Whether this room connected; a connection that the caller had stays open.
    """

    address: str
    dashboard_url: str
    settings: HaProxySettings | None = None
    is_connected_here: bool = True

    @property
    def is_own(self) -> bool:
        """Whether this process started it, and stops it."""
        return self.settings is not None


def start_cluster(host: str, port: int) -> Connection:
    """Starts a local cluster with HAProxy on, for the endpoint at host:port.

    Raises:
        ServingError: If the port is taken or HAProxy is missing.
        ClusterError: If it does not start.
    """
    require_free_port(host, port)
    settings = prepare_environment(host)
    try:
        start_ray()
    except ClusterError:
        settings.undo()
        raise
    _quiet_serve()
    return Connection(address=head_address(), dashboard_url=dashboard_url(), settings=settings)


def connect(address: str | None) -> Connection:
    """Connects to a running cluster, or takes the one this process is connected to already.

    Raises:
        ClusterError: If it does not answer, or if this process is connected to another one.
    """
    os.environ.setdefault(HA_PROXY, "1")
    os.environ.setdefault(QUIET, "0")
    was_connected = is_connected()
    if was_connected:
        require_connected_to(address)
    else:
        connect_ray(address)
    _quiet_serve()
    return Connection(
        address=head_address(), dashboard_url=dashboard_url(), is_connected_here=not was_connected
    )


def require_free_port(host: str, port: int) -> None:
    """Refuses a port that something listens on.

    Raises:
        ServingError: If the port cannot be bound.
    """
    if not is_free(host, port):
        remedy = "Choose another with --port, or stop what uses it"
        raise ServingError(f"port {port} of {host}", "must be free", "it is in use", remedy)


def check_cluster(host: str, cpus: int) -> None:
    """Refuses a cluster that could not serve what is asked, before anything is deployed.

    Args:
        host: That the endpoint is to bind.
        cpus: Cores that all replicas together reserve.

    Raises:
        ServingError: If it runs without HAProxy, has too few cores, or spans machines behind a loopback host.
    """
    import ray

    def ha_proxy_is_on() -> bool:
        return os.environ.get(HA_PROXY) == "1"

    if not ray.get(ray.remote(num_cpus=0)(ha_proxy_is_on).remote()):
        remedy = f"Set {HA_PROXY}=1 before `ray start` on every node"
        raise ServingError("Ray cluster", "must run with HAProxy", f"{HA_PROXY} is not 1", remedy)
    total = ray.cluster_resources().get("CPU", 0)
    if total < cpus:
        remedy = "Ask for fewer replicas or fewer cores each"
        raise ServingError("Ray cluster", f"must have {cpus} cores for the replicas", f"{total:g}", remedy)
    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1 and is_loopback(host):
        remedy = "Pass --host 0.0.0.0 and let a firewall decide who reaches the ports"
        rule = f"must be reachable from all {len(machines)} machines of the cluster"
        raise ServingError("host", rule, host, remedy)


def ingress_location() -> str:
    """Where HAProxy runs: on every node, or on the head alone where nodes share a machine, and so a port."""
    import ray

    alive = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
    return "EveryNode" if len(set(alive)) == len(alive) else "HeadOnly"


def stop_cluster(cluster: Connection) -> None:
    """Stops a cluster that `start_cluster` started, and disconnects from one that `connect` connected to."""
    import ray

    if cluster.is_connected_here:
        ray.shutdown()
    if cluster.settings is not None:
        cluster.settings.undo()


def _quiet_serve() -> None:
    """Importing Serve sets its logger up; its files keep the lines that a terminal does not need."""
    import_module("ray.serve")
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
