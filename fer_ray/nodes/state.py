"""What is kept about the cluster of this machine: its address, its nodes and its token, in a folder of the user's.

The folder is `FER_RAY_CLUSTER_STATE`, or ``fer-ray/cluster`` in the XDG state folder. It holds:

    cluster.json   a `Cluster`
    token          mode 600; Ray's clients send it
    logs/          what each `ray start` wrote, until the next cluster
"""

import fcntl
import json
import os
import secrets
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fer_ray.errors import ClusterError
from fer_ray.files import write_atomically

STATE_VARIABLE = "FER_RAY_CLUSTER_STATE"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node, as it was started.

    Attributes:
        name: Also its name in Ray's dashboard.
        pid: Of its `ray start --block`.
        cpus, gpus: That it offers to Ray.
    """

    name: str
    pid: int
    cpus: int
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that `up` started.

    Attributes:
        state: The folder that keeps this; absolute.
        mark: Random, and in the environment of every process of the cluster: a process without it is not ours,
            whatever its id.
        folder: Of Ray's sessions and HAProxy's files; private, and short since sockets have short paths.
        address: Of the head, host:port.
        dashboard_url: On loopback.
        nodes: The head first.
        host: The machine's name: several may share a home folder.
    """

    state: Path
    mark: str
    folder: Path
    address: str
    dashboard_url: str
    nodes: tuple[Node, ...] = ()
    host: str = field(default_factory=socket.gethostname)

    @property
    def token_file(self) -> Path:
        """What a client's RAY_AUTH_TOKEN_PATH names."""
        return self.state / "token"

    @property
    def client_environment(self) -> dict[str, str]:
        """What a program of its own needs to use the cluster; no secret itself."""
        return {
            "RAY_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
        }

    def save(self) -> None:
        """Writes `cluster.json`.

        Raises:
            ClusterError: If the folder cannot be written.
        """
        content = asdict(self) | {"state": str(self.state), "folder": str(self.folder)}
        try:
            write_atomically(self.state / "cluster.json", json.dumps(content, indent=2))
        except OSError as error:
            raise ClusterError(str(self.state), "must be writable", str(error)) from error

    def write_token(self) -> None:
        """A new token, readable by its owner alone from its first byte on."""
        self.token_file.unlink(missing_ok=True)
        descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))

    def forget(self) -> None:
        """Removes what is kept, but for the logs."""
        for path in (self.token_file, self.state / "cluster.json"):
            path.unlink(missing_ok=True)


def state_folder(given: Path | None = None) -> Path:
    """Where the cluster of this machine is kept; absolute."""
    if given is None and (named := os.environ.get(STATE_VARIABLE)):
        given = Path(named)
    if given is None:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        given = Path(home) / "fer-ray" / "cluster"
    return given.expanduser().absolute()


def read_cluster(state: Path | None = None) -> Cluster | None:
    """The cluster that is kept in a state folder, alive or not; None where there is none.

    Raises:
        ClusterError: If the file is not what `Cluster.save` writes.
    """
    path = state_folder(state) / "cluster.json"
    try:
        content = json.loads(path.read_text())
        nodes = tuple(Node(**node) for node in content.pop("nodes"))
        folder = Path(content.pop("folder"))
        return Cluster(**{**content, "state": path.parent, "folder": folder, "nodes": nodes})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "Remove it once `ps` shows no Ray node of yours"
        raise ClusterError(str(path), "must be readable", str(error), remedy) from error


def read_own_cluster(state: Path | None = None) -> Cluster | None:
    """As `read_cluster`, of this machine alone.

    Raises:
        ClusterError: If another machine's is kept there; nothing can be said about its processes from here.
    """
    kept = read_cluster(state)
    if kept is not None and kept.host != socket.gethostname():
        rule, received = "must hold a cluster of this machine", f"one of {kept.host}"
        remedy = f"Name another with --state or {STATE_VARIABLE}; if {kept.host} is gone, remove cluster.json"
        raise ClusterError(str(kept.state), rule, received, remedy)
    return kept


def state_option(state: Path) -> str:
    """What a command of `fer-ray cluster` has to be given to mean a state folder; empty for the usual one."""
    return "" if state == state_folder() else f" --state {shlex.quote(str(state))}"


@contextmanager
def only_command(state: Path) -> Iterator[None]:
    """Keeps a second `up` or `down` out of a state folder, which is made if it is not there.

    Raises:
        ClusterError: If another one is at work, or the folder cannot be written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise ClusterError(str(state), "must be writable", str(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(str(state), "another `fer-ray cluster` is at work there") from error
        yield
