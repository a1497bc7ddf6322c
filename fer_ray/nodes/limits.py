"""What this process may use of the machine: a container, a service or a batch job may use less than all of it."""

import os
from pathlib import Path

import psutil

#: Control groups, version 2, as every Linux of today has them.
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Those that this process may run on, and no more than its control groups let it have; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups():
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota not in ("", "max"):
            cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def usable_memory() -> int:
    """Bytes that are free, on the machine and below the limits of this process's control groups."""
    free = int(psutil.virtual_memory().available)
    for group in _groups():
        limit = _read(group / "memory.max")
        if limit not in ("", "max"):
            free = min(free, int(limit) - int(_read(group / "memory.current")) + _cached(group))
    return max(0, free)


def _groups() -> list[Path]:
    """This process's group and those around it; in a container, the outermost one is the container's."""
    lines = _read(_OWN_GROUP).splitlines()
    (path, *_) = [*(line.removeprefix("0::/") for line in lines if line.startswith("0::/")), ""]
    own = _GROUPS / path
    return [group for group in (own, *own.parents) if group.is_relative_to(_GROUPS)]


def _cached(group: Path) -> int:
    """Bytes of files that the kernel drops before anything runs out."""
    stat = dict(line.split() for line in _read(group / "memory.stat").splitlines())
    return int(stat.get("inactive_file", 0))


def _read(path: Path) -> str:
    """Empty where there is no such file, as in the outermost group of a machine."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
