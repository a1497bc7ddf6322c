"""With what a run of a sweep was made: machine, packages, cluster."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from fer_ray.registry.manifest import package_versions

_PACKAGES = (
    "fer-ray",
    "ray",
    "optuna",
    "keras",
    "keras-tuner",
    "tensorflow",
    "tensorflow-cpu",
    "numpy",
    "pyarrow",
    "onnx",
    "onnxruntime",
)


def describe_environment() -> dict[str, Any]:
    """What this process runs on, and the Ray cluster that it is connected to.

    Returns:
        Plain values: ``started`` (UTC), ``python``, ``platform``, ``processor``, ``cores``, ``memory_gb`` of this
        machine, ``versions`` by package, and ``cluster`` with its nodes' CPUs, GPUs and memory.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "versions": package_versions(_PACKAGES),
        "cluster": [
            {
                "cpus": node.get("CPU", 0),
                "gpus": node.get("GPU", 0),
                "memory_gb": round(node.get("memory", 0) / 1e9, 1),
            }
            for node in nodes
        ],
    }


def _processor() -> str:
    """Its model, which Python tells on few systems."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(errors="replace").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
