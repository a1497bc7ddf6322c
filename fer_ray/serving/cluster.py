"""The Ray cluster that serves: a local one of this process, or one that runs already."""

import logging
import os
import socket
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fer_ray.errors import ServingError
from fer_ray.serving.ingress import (
    HA_PROXY,
    QUIET,
    HaProxySettings,
    is_loopback,
    prepare_environment,
    require_free_port,
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A connection to a Ray cluster.

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


def token_place() -> str:
    """Where the token of Ray's dashboard and jobs lies, in Ray's own order of precedence; no secret itself."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "the environment variable RAY_AUTH_TOKEN"
    return os.environ.get("RAY_AUTH_TOKEN_PATH") or str(Path.home() / ".ray" / "auth_token")


def start_cluster(host: str, port: int) -> Cluster:
    """Starts a local cluster with HAProxy on, for the endpoint at host:port.

    Raises:
        ServingError: If the port is taken, HAProxy is missing, or this process has a cluster already.
    """
    require_free_port(host, port)
    settings = prepare_environment(host)
    _require_token("ray" in sys.modules)
    import ray

    try:
        context = ray.init(
            address="local",
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:  # Ray has no common class for what a start can meet
        settings.undo()
        raise ServingError("local Ray cluster", "must start", str(error).splitlines()[0]) from error
    _quiet_serve()
    dashboard = f"http://{context.dashboard_url}" if context.dashboard_url else ""
    return Cluster(address=context.address_info["gcs_address"], dashboard_url=dashboard, settings=settings)


def connect(address: str | None) -> Cluster:
    """Connects to a running cluster, or takes the one this process is connected to already.

    Raises:
        ServingError: If it does not answer.
    """
    os.environ.setdefault(HA_PROXY, "1")
    os.environ.setdefault(QUIET, "0")
    if _has_token():
        _require_token("ray" in sys.modules)
    import ray

    is_connected = ray.is_initialized()
    if not is_connected:
        _require_listener(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except Exception as error:  # Ray has no common class for what a connection can meet
            remedy = "Start one, or give the address of its head; RAY_AUTH_MODE must be as it is there"
            raise ServingError(
                f"Ray cluster {address}", "must answer", str(error).splitlines()[0], remedy
            ) from error
    _quiet_serve()
    context = ray.get_runtime_context()
    return Cluster(
        address=context.gcs_address, dashboard_url=_dashboard_url(), is_connected_here=not is_connected
    )


def _require_listener(address: str | None) -> None:
    """Ray itself tries a wrong address for many minutes; a second is enough to see that nobody listens."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        remedy = "Start the cluster, or give the address of its head"
        raise ServingError(f"Ray cluster {address}", "must answer", str(error), remedy) from error


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


def stop_cluster(cluster: Cluster) -> None:
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


def _has_token() -> bool:
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(token_place()).expanduser().is_file()


def _require_token(ray_is_imported: bool) -> None:
    """Turns token authentication on; Ray reads the variable on import and decides for itself afterwards."""
    if not ray_is_imported:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _dashboard_url() -> str:
    from ray._private.worker import get_dashboard_url

    found = get_dashboard_url()
    return f"http://{found}" if found else ""
