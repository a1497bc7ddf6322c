"""A folder that is whole or not there: built beside its place, then renamed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_ray.data.schema import MANIFEST
from fer_ray.errors import DataError


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a data set."""
    return (folder / MANIFEST).is_file()


def check_target(
    out: Path, overwrite: bool, ours: Callable[[Path], bool] = is_dataset, kind: str = "a data set"
) -> None:
    """Checks that `out` may be written; only an empty folder or one of `ours` is ever replaced.

    Args:
        out: The folder.
        overwrite: Whether it may be there already.
        ours: Says whether a folder is what will be written, and so may be replaced.
        kind: What that is called.

    Raises:
        DataError: If `out` exists and may not be replaced.
    """
    if not out.exists():
        return
    if not overwrite:
        raise DataError(str(out), "the output folder must not exist", remedy="Add --overwrite to replace it")
    if not out.is_dir() or (any(out.iterdir()) and not ours(out)):
        raise DataError(str(out), f"only {kind} or an empty folder is ever overwritten")


@contextmanager
def new_folder(
    out: Path, overwrite: bool, ours: Callable[[Path], bool] = is_dataset, kind: str = "a data set"
) -> Iterator[Path]:
    """Yields a temporary sibling of `out` to build in; it becomes `out` if the block succeeds.

    Args:
        out, overwrite, ours, kind: As for `check_target`.

    Raises:
        DataError: If `out` exists and may not be replaced.
    """
    check_target(out, overwrite, ours, kind)
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
