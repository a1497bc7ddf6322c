"""Starting several Ray nodes on this machine."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from fer_ray.errors import ClusterError
from fer_ray.ha_proxy import node_environment
from fer_ray.nodes.processes import end_processes, find_processes, marked_environment
from fer_ray.nodes.shares import Share, divide_machine
from fer_ray.nodes.state import (
    Cluster,
    Node,
    only_command,
    read_cluster,
    read_own_cluster,
    state_folder,
    state_option,
)
from fer_ray.nodes.status import alive_in_ray
from fer_ray.ports import any_free_port, is_free
from fer_ray.progress import Progress, no_progress

#: An address of this machine alone; for 127.0.0.1 Ray takes the machine's outer one. All nodes share it, so that
#: Ray Serve sees one machine.
_HOST = "127.0.0.2"
_DASHBOARD_HOST = "127.0.0.1"
_PORT, _DASHBOARD_PORT = 6379, 8265
_SECONDS_TO_START = 120.0
_STARTED = "Ray runtime started"


def up(
    nodes: int = 1,
    *,
    cpus: int | None = None,
    port: int | None = None,
    dashboard_port: int | None = None,
    state: Path | None = None,
    progress: Progress = no_progress,
) -> Cluster:
    """Starts a Ray cluster of several nodes on this machine, with a token, a dashboard and HAProxy for endpoints.

    It lives until `down`, whatever becomes of this process. Dashboard and endpoints listen on loopback; Ray's gRPC
    ports listen on every interface and want the token, its metrics do without. A cluster that does not start
    completely is taken down again.

    Args:
        nodes: How many, the head included.
        cpus: That each offers; by default the machine's cores are divided.
        port: Of the head; by default 6379, or another if that is taken.
        dashboard_port: By default 8265, or another if that is taken.
        state: Where the cluster is kept; see `fer_ray.nodes.state`.
        progress: Told how many nodes there are.

    Raises:
        ClusterError: If a cluster is up already, another machine's is kept there, a port is taken, the machine is
            too small, Ray is not installed or a node does not start.
        ServingError: If HAProxy is missing.
    """
    if nodes < 1:
        raise ClusterError("nodes", "must be at least 1", str(nodes))
    if find_spec("ray") is None:
        raise ClusterError("Ray", "must be installed", remedy="pip install 'ray[tune,serve]'")
    if not is_free(_HOST, 0):
        raise ClusterError("this machine", f"must have the address {_HOST}, as every Linux has", sys.platform)
    where = state_folder(state)
    with only_command(where):
        _clear_the_dead(where)
        shares = divide_machine(nodes, cpus)
        cluster = _prepare(where, _choose("port", "", port, _PORT), dashboard_port)
        try:
            return _start_all(cluster, shares, progress)
        except BaseException:
            end_processes(read_cluster(where) or cluster)
            shutil.rmtree(cluster.folder, ignore_errors=True)
            cluster.forget()
            raise


def _clear_the_dead(state: Path) -> None:
    """Forgets a cluster whose last process is gone, as after a reboot."""
    kept = read_own_cluster(state)
    if kept is None:
        return
    if find_processes(kept):
        option = state_option(state)
        remedy = f"See it with `fer-ray cluster status{option}`, stop it with `fer-ray cluster down{option}`"
        raise ClusterError("Ray cluster", "is up already", kept.address, remedy)
    shutil.rmtree(kept.folder, ignore_errors=True)
    kept.forget()


def _choose(name: str, host: str, given: int | None, usual: int) -> int:
    if given is None:
        return usual if is_free(host, usual) else any_free_port()
    if not is_free(host, given):
        remedy = f"Choose another with --{name}, or leave it out"
        raise ClusterError(f"port {given}", "must be free", "it is in use", remedy)
    return given


def _prepare(state: Path, port: int, dashboard_port: int | None) -> Cluster:
    """Keeps the cluster before its first process starts, so that none can be forgotten."""
    shown_at = _choose("dashboard-port", _DASHBOARD_HOST, dashboard_port, _DASHBOARD_PORT)
    cluster = Cluster(
        state=state,
        mark=secrets.token_hex(16),
        folder=Path(mkdtemp(prefix="fer-ray-", dir="/tmp")),
        address=f"{_HOST}:{port}",
        dashboard_url=f"http://{_DASHBOARD_HOST}:{shown_at}",
    )
    cluster.save()
    cluster.write_token()
    shutil.rmtree(state / "logs", ignore_errors=True)
    (state / "logs").mkdir()
    return cluster


def _start_all(cluster: Cluster, shares: list[Share], progress: Progress) -> Cluster:
    environment = {
        **os.environ,
        **node_environment(_DASHBOARD_HOST, cluster.folder),
        **cluster.client_environment,
        **marked_environment(cluster),
        # Jobs call `python`, and that is this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # How often the head collects what is in use; five seconds otherwise.
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    # It would make the head look for another cluster's, and wins over the file.
    for variable in ("RAY_ADDRESS", "RAY_AUTH_TOKEN"):
        environment.pop(variable, None)
    progress("start nodes", 0, len(shares))
    deadline = time.monotonic() + _SECONDS_TO_START
    names = ["head", *(f"worker-{number}" for number in range(1, len(shares)))]
    head, started = _start(cluster, names[0], shares[0], environment)
    _wait_for(cluster, [(names[0], started)], deadline)
    progress("start nodes", 1, len(shares))
    # The head among them: the others would wait for it until the time is up.
    cluster, waiting = head, [(names[0], started)]
    for name, share in zip(names[1:], shares[1:], strict=True):
        cluster, started = _start(cluster, name, share, environment)
        waiting.append((name, started))
    _wait_for(cluster, waiting, deadline)
    while (alive := alive_in_ray(cluster)) < len(shares):
        progress("start nodes", max(1, alive), len(shares))
        _check(cluster, waiting, deadline)
        time.sleep(0.2)
    progress("start nodes", len(shares), len(shares))
    return cluster


def _start(
    cluster: Cluster, name: str, share: Share, environment: dict[str, str]
) -> tuple[Cluster, subprocess.Popen[bytes]]:
    """Starts a node in a session of its own, which Ctrl-C and a closed terminal do not reach."""
    _, _, port = cluster.address.rpartition(":")
    _, _, dashboard_port = cluster.dashboard_url.rpartition(":")
    place = [f"--address={cluster.address}"]
    if name == "head":
        place = [
            *("--head", f"--port={port}", "--include-dashboard=true"),
            *(f"--dashboard-host={_DASHBOARD_HOST}", f"--dashboard-port={dashboard_port}"),
            f"--ray-client-server-port={any_free_port()}",
        ]
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        *place,
        *(f"--node-name={name}", f"--node-ip-address={_HOST}", f"--temp-dir={cluster.folder}"),
        *(f"--num-cpus={share.cpus}", f"--num-gpus={len(share.gpus)}"),
        *(f"--memory={share.memory}", f"--object-store-memory={share.object_store}"),
        # Ports that Ray otherwise gives to every node alike.
        *("--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={any_free_port()}"),
    ]
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(share.gpus)}
    with _log(cluster, name).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment | gpus,
            start_new_session=True,
        )
    node = Node(name=name, pid=process.pid, cpus=share.cpus, gpus=len(share.gpus))
    cluster = replace(cluster, nodes=(*cluster.nodes, node))
    cluster.save()
    return cluster, process


def _wait_for(cluster: Cluster, nodes: list[tuple[str, subprocess.Popen[bytes]]], deadline: float) -> None:
    while not all(_STARTED in _log(cluster, name).read_text(errors="replace") for name, _ in nodes):
        _check(cluster, nodes, deadline)
        time.sleep(0.1)


def _check(cluster: Cluster, nodes: list[tuple[str, subprocess.Popen[bytes]]], deadline: float) -> None:
    """Raises once a node has ended or the time is up."""
    for name, process in nodes:
        if process.poll() is not None:
            log = _log(cluster, name)
            lines = log.read_text(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {process.returncode}"
            raise ClusterError(f"Ray node {name}", "must start", reason, f"Its output is in {log}")
    if time.monotonic() > deadline:
        remedy = f"Their output is in {cluster.state / 'logs'}"
        raise ClusterError("Ray nodes", f"must start within {_SECONDS_TO_START:.0f} s", remedy=remedy)


def _log(cluster: Cluster, name: str) -> Path:
    return cluster.state / "logs" / f"{name}.log"
