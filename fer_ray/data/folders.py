"""A folder that is whole or not there: built beside its place, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_ray.data.schema import MANIFEST
from fer_ray.errors import DataError


def check_target(out: Path, overwrite: bool) -> None:
    """Checks that a data set may be written to `out`; only an existing data set or nothing is replaced.

    Raises:
        DataError: If `out` exists and may not be replaced.
    """
    if not out.exists():
        return
    if not overwrite:
        raise DataError(str(out), "the output folder must not exist", remedy="Add --overwrite to replace it")
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        raise DataError(str(out), "only a data set or an empty folder is ever overwritten")


@contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Yields a temporary sibling of `out` to build in; it becomes `out` if the block succeeds.

    Raises:
        DataError: If `out` exists and may not be replaced.
    """
    check_target(out, overwrite)
    temporary = out.parent / f".{out.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        _replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(folder: Path, out: Path) -> None:
    old = out.parent / f".{out.name}.{os.getpid()}.old"
    if out.exists():
        out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
