"""Ending the cluster of this machine, and nothing else."""

import shutil
from pathlib import Path

from fer_ray.nodes.processes import end_processes
from fer_ray.nodes.state import Cluster, only_command, read_own_cluster, state_folder


def down(state: Path | None = None) -> Cluster | None:
    """Ends every process of the cluster that `up` started, and removes its token and its temporary files.

    Other Ray clusters of the machine, and processes that were given an id of ours, are left alone. What `ray start`
    wrote stays in the state folder's ``logs``.

    Args:
        state: Where the cluster is kept; see `fer_ray.nodes.state`.

    Returns:
        What was ended; None where no cluster was up.

    Raises:
        ClusterError: If another command is at work on it, or it is another machine's.
    """
    where = state_folder(state)
    if read_own_cluster(where) is None:
        return None
    with only_command(where):
        cluster = read_own_cluster(where)
        if cluster is None:
            return None
        ended = end_processes(cluster)
        shutil.rmtree(cluster.folder, ignore_errors=True)
        cluster.forget()
        return cluster if ended else None
