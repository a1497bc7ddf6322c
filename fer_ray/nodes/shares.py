"""What each of several nodes on one machine may take: cores, GPUs, memory and shared memory."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fer_ray.errors import ClusterError
from fer_ray.nodes.limits import usable_cores, usable_memory

_MIB = 2**20
#: A node's own processes take about half of it, and a worker with TensorFlow as much again.
_LEAST_MEMORY = 1024 * _MIB
_LEAST_STORE = 100 * _MIB
#: Ray's own share of the memory for the object store.
_STORE_SHARE = 0.3
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Share:
    """Of one node.

    Attributes:
        cpus: That it offers; trials are placed by them.
        gpus: Their ids, as in CUDA_VISIBLE_DEVICES.
        memory: Bytes that it offers.
        object_store: Bytes of shared memory that it may fill.
    """

    cpus: int
    gpus: tuple[str, ...]
    memory: int
    object_store: int


def divide_machine(nodes: int, cpus: int | None) -> list[Share]:
    """Divides the machine among nodes, so that together they offer no more than there is.

    Args:
        nodes: At least 1.
        cpus: Of each node; by default the cores that this process may use are divided, the first nodes taking the
            rest.

    Raises:
        ClusterError: If there are fewer cores than nodes and `cpus` is not given, or too little memory.
    """
    available = usable_memory()
    store = _object_store(nodes, available)
    memory = available // nodes - store
    return [
        Share(cpus=cores, gpus=gpus, memory=memory, object_store=store)
        for cores, gpus in zip(_cores(nodes, cpus), divide_gpus(_gpus(), nodes), strict=True)
    ]


def divide_gpus(gpus: list[str], nodes: int) -> list[tuple[str, ...]]:
    """Each GPU to one node, the first nodes taking the rest."""
    return [tuple(gpus[node::nodes]) for node in range(nodes)]


def _cores(nodes: int, cpus: int | None) -> list[int]:
    if cpus is not None:
        return [cpus] * nodes
    cores = usable_cores()
    if cores < nodes:
        remedy = "Start fewer, or pass --cpus 1 to let them share cores"
        raise ClusterError("nodes", f"must be at most the machine's {cores} cores", str(nodes), remedy)
    return [cores // nodes + (node < cores % nodes) for node in range(nodes)]


def _object_store(nodes: int, available: int) -> int:
    if available < nodes * _LEAST_MEMORY:
        rule = f"must have {nodes * _LEAST_MEMORY // _MIB} MiB free for {nodes} nodes"
        raise ClusterError("memory", rule, f"{available // _MIB} MiB", "Start fewer, or stop what uses it")
    store = int(available * _STORE_SHARE) // nodes
    if _SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(_SHARED_MEMORY).free
        if free < nodes * _LEAST_STORE:
            rule = f"must have {nodes * _LEAST_STORE // _MIB} MiB free for {nodes} nodes"
            remedy = "Start fewer, or enlarge it (a container's: --shm-size)"
            raise ClusterError(str(_SHARED_MEMORY), rule, f"{free // _MIB} MiB", remedy)
        store = min(store, int(free * 0.8) // nodes)
    return store


def _gpus() -> list[str]:
    """Ids of the NVIDIA GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu not in ("", "-1", "NoDevFiles")]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return listed.stdout.split() if listed.returncode == 0 else []
