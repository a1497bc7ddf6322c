"""Starting a local Ray cluster and connecting to a running one, for sweeps and endpoints alike."""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fer_ray.errors import ClusterError
from fer_ray.nodes.processes import is_ours
from fer_ray.nodes.state import Cluster, read_cluster
from fer_ray.ports import is_free

_PROBE_SECONDS = 5.0
#: Ray's own settings for a driver whose head is gone. Left alone, Ray ends the whole process after a minute, in the
#: middle of a call; with these the call fails first, and the driver can say what happened and keep its results.
_LOST_HEAD = {"RAY_gcs_server_request_timeout_seconds": "20", "RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
#: Variables that the token of a cluster of ours has taken the place of; None where one was not set.
_replaced: dict[str, str | None] = {}


def start_ray(metadata: Mapping[str, str] = MappingProxyType({})) -> None:
    """Starts a local cluster with dashboard and token authentication; it ends with `ray.shutdown`.

    Args:
        metadata: Of this process's job, for the dashboard.

    Raises:
        ClusterError: If it does not start.
    """
    _give_token_back()
    _require_token()
    import ray

    _outlive_head()
    try:
        ray.init(
            address="local",
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            **_options(metadata),
        )
    except Exception as error:  # Ray has no common class for what a start can meet
        raise ClusterError("local Ray cluster", "must start", first_line(error)) from error


def connect_ray(address: str | None, metadata: Mapping[str, str] = MappingProxyType({})) -> None:
    """Connects to a running cluster.

    Where `fer-ray cluster up` started it on this machine, its token is used.

    Args:
        address: Of its head, host:port, or ``auto``: the cluster that `fer-ray cluster up` started on this machine,
            else the one that Ray finds.
        metadata: Of this process's job, for the dashboard.

    Raises:
        ClusterError: If it does not answer.
    """
    own = _sign_in(address)
    address = own.address if own else address
    import ray

    _require_listener(address)
    _outlive_head()
    try:
        ray.init(address=address, **_options(metadata))
    except Exception as error:  # Ray has no common class for what a connection can meet
        remedy = (
            "Start one, or give the address of its head. If it wants a token, set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH to the file that holds it"
        )
        raise ClusterError(f"Ray cluster {address}", "must answer", first_line(error), remedy) from error


def _options(metadata: Mapping[str, str]) -> dict[str, Any]:
    from ray.job_config import JobConfig

    return {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": JobConfig(metadata=dict(metadata)),
    }


def connect_jobs(address: str | None) -> Any:
    """A client for the jobs of a running cluster; this process does not join it.

    Args:
        address: Of its dashboard, ``http://host:8265``, or of its head, host:6379; if None, that of
            RAY_API_SERVER_ADDRESS or RAY_ADDRESS, or the cluster of this machine: as for `connect_ray`, the one of
            `fer-ray cluster up` first.

    Returns:
        A `ray.job_submission.JobSubmissionClient`.

    Raises:
        ClusterError: If it does not answer.
    """
    address = None if address == "auto" else address
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    own = _sign_in(address or "auto")
    address = own.dashboard_url if own else address
    from ray.job_submission import JobSubmissionClient

    # They tell of each package that is uploaded and each connection that is closed; the SDK sets levels of its own.
    sdk = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
    for name in ("ray.dashboard", *sdk, "ray._private"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _require_listener((address or "").removeprefix("http://").removeprefix("https://").partition("/")[0])
    try:
        with _without_addresses():
            return JobSubmissionClient(address)
    except Exception as error:  # Ray has no common class for what a connection can meet
        remedy = (
            "Give the address of its dashboard or head. If it wants a token, set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH to the file that holds it"
        )
        where = f"Ray cluster {address}" if address else "Ray cluster"
        raise ClusterError(where, "must answer", first_line(error), remedy) from error


@contextmanager
def _without_addresses() -> Iterator[None]:
    """Hides the variables that Ray's client for jobs would put before the address that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def is_connected() -> bool:
    """Whether this process is connected to a cluster; does not import Ray."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def head_address() -> str:
    """Host and port of the head of the cluster that this process is connected to."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def require_connected_to(address: str | None) -> None:
    """Whether the cluster that this process is connected to is what an address means; None and ``auto`` mean any.

    Raises:
        ClusterError: If it is another one.
    """
    if address in (None, "auto"):
        return
    host, _, port = str(address).rpartition(":")
    own_host, _, own_port = head_address().rpartition(":")
    if port != own_port or _machine(host) != _machine(own_host):
        rule = f"must be the cluster that this process is connected to, {head_address()}"
        remedy = "Disconnect first with `ray.shutdown()`, or leave it out"
        raise ClusterError("address", rule, str(address), remedy)


def head_answers(address: str) -> bool:
    """Whether somebody listens at the address of a head."""
    try:
        _require_listener(address)
    except ClusterError:
        return False
    return True


def dashboard_url() -> str:
    """The dashboard's address; empty where the cluster has none."""
    from ray._private.worker import get_dashboard_url

    found = get_dashboard_url()
    return f"http://{found}" if found else ""


def token_place() -> str:
    """Where the token of Ray's dashboard and jobs lies, in Ray's own order of precedence; no secret itself."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "the environment variable RAY_AUTH_TOKEN"
    return os.environ.get("RAY_AUTH_TOKEN_PATH") or str(Path.home() / ".ray" / "auth_token")


def _sign_in(address: str | None) -> Cluster | None:
    """Makes this process send the token that the cluster wants; gives the cluster back if `nodes.up` started it."""
    _give_token_back()
    own = _own_cluster(address)
    if own is not None:
        _take_token(own)
    elif _has_token():
        _require_token()
    return own


def _own_cluster(address: str | None) -> Cluster | None:
    """The cluster of `fer-ray cluster up`, where the address means that one and its head's process lives.

    Raises:
        ClusterError: If what is kept cannot be read, and `auto` would mean it.
    """
    try:
        own = read_cluster()
    except ClusterError:
        if address == "auto":
            raise
        return None
    if own is None or (address or "").rstrip("/") not in (own.address, own.dashboard_url, "auto"):
        return None
    # Somebody who listens at its port may be another cluster, and would be sent its token.
    return own if own.nodes and is_ours(own.nodes[0].pid, own) else None


def _take_token(cluster: Cluster) -> None:
    """Makes this process send the token of a cluster; Ray knows one per process."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        _replaced[name] = os.environ.pop(name, None)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(cluster.token_file))
    _read_token_anew()


def _give_token_back() -> None:
    """What `_take_token` has put aside is as it was."""
    if not _replaced:
        return
    for name, value in _replaced.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    _replaced.clear()
    _read_token_anew()


def _read_token_anew() -> None:
    """Ray reads the variables once: the mode on import, the token on its first use."""
    raylet = import_module("ray._raylet")
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def _require_listener(address: str | None) -> None:
    """Ray itself tries a wrong address for many minutes; seconds are enough to see that nobody listens."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        remedy = "Start the cluster, or give the address of its head"
        raise ClusterError(f"Ray cluster {address}", "must answer", str(error), remedy) from error


def _machine(host: str) -> str:
    """A machine's address; empty for this one, which has several."""
    try:
        found = socket.gethostbyname(host)
    except OSError:
        return host
    return "" if is_free(found, 0) else found


def _outlive_head() -> None:
    """Ray reads these when it starts or connects."""
    for name, seconds in _LOST_HEAD.items():
        os.environ.setdefault(name, seconds)


def _has_token() -> bool:
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(token_place()).expanduser().is_file()


def _require_token() -> None:
    """Turns token authentication on; Ray reads the variable on import and decides for itself afterwards."""
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def first_line(error: Exception) -> str:
    """The first line of an error's text; its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
