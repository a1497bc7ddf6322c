"""The processes of a cluster: found by the mark in their environment, ended together.

A process id alone says nothing after a reboot, or once it was given away again; the mark is in the environment of
what `up` started and of what that started, and nowhere else.
"""

import os
import time
from contextlib import suppress

import psutil

from fer_ray.nodes.state import Cluster

_MARK = "FER_RAY_CLUSTER"
_SECONDS_TO_END = 20.0


def marked_environment(cluster: Cluster) -> dict[str, str]:
    """The variable that makes a process one of the cluster's."""
    return {_MARK: cluster.mark}


def is_ours(pid: int, cluster: Cluster) -> bool:
    """Whether a process lives and belongs to the cluster."""
    try:
        process = psutil.Process(pid)
        return _lives(process) and process.environ().get(_MARK) == cluster.mark
    except (psutil.Error, OSError):
        return False


def find_processes(cluster: Cluster) -> list[psutil.Process]:
    """Every process of the cluster that lives, with its descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in found and process.pid != os.getpid() and is_ours(process.pid, cluster):
            found[process.pid] = process
            # Workers write their names over their environment.
            with suppress(psutil.Error):
                found.update({child.pid: child for child in process.children(recursive=True)})
    return list(found.values())


def end_processes(cluster: Cluster) -> int:
    """Ends the nodes, and then whatever of the cluster is still there.

    A node that is asked to end stops its workers itself. psutil signals no process whose id was given away.

    Returns:
        How many processes of the cluster there were.
    """
    found = find_processes(cluster)
    pids = {node.pid for node in cluster.nodes}
    nodes = [process for process in found if process.pid in pids]
    for process in nodes:
        with suppress(psutil.Error):
            process.terminate()
    left = {process.pid: process for process in (_wait(found) if nodes else found)}
    left |= {process.pid: process for process in find_processes(cluster)}
    for process in left.values():
        with suppress(psutil.Error):
            process.kill()
    _wait(list(left.values()))
    return len(found)


def _wait(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still live once they have had their time."""
    deadline = time.monotonic() + _SECONDS_TO_END
    while (
        processes := [process for process in processes if _lives(process)]
    ) and time.monotonic() < deadline:
        time.sleep(0.1)
    return processes


def _lives(process: psutil.Process) -> bool:
    """A process that has ended may stay in the table until somebody asks for its exit code."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
