"""A folder that is whole or not there: built beside its place, then renamed; or built here, then uploaded."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_ray.data.schema import MANIFEST
from fer_ray.errors import DataError
from fer_ray.file_store import FileStore
from fer_ray.progress import Progress, no_progress


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
        DataError: If `out` exists and may not be replaced, before the block or after it.
    """
    out = out.resolve()
    check_target(out, overwrite, ours, kind)
    temporary = out.parent / f".{out.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        # Others may have made something there meanwhile.
        check_target(out, overwrite, ours, kind)
        _replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_dataset_target(out: str | Path, overwrite: bool) -> None:
    """Checks that a data set may be written to `out`, a path or a URI.

    Raises:
        DataError: If it may not, or the object store does not answer.
    """
    if "://" not in str(out):
        check_target(Path(out), overwrite)
        return
    files = FileStore.open(out, "data set", DataError)
    try:
        there = not files.is_empty()
        ours = there and files.exists([MANIFEST])[0]
    except OSError as error:
        raise DataError(files.where, "the output folder must be reachable", str(error)) from error
    if there and not overwrite:
        raise DataError(
            files.where, "the output folder must not exist", remedy="Add --overwrite to replace it"
        )
    if there and not ours:
        raise DataError(files.where, "only a data set or an empty folder is ever overwritten")


@contextmanager
def new_dataset_folder(out: str | Path, overwrite: bool, progress: Progress = no_progress) -> Iterator[Path]:
    """Yields a folder on this machine to build a data set in; it becomes `out` if the block succeeds.

    Args:
        out: A path, or a URI: an object store has no renames, so `dataset.json`, without which no data set is
            there, is taken away first and uploaded last.
        overwrite: Whether a data set may be there already.
        progress: Told how many files are uploaded.

    Raises:
        DataError: If `out` may not be written.
    """
    if "://" not in str(out):
        with new_folder(Path(out), overwrite) as folder:
            yield folder
        return
    check_dataset_target(out, overwrite)
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)
        files = FileStore.open(out, "data set", DataError)
        try:
            _upload(Path(temporary), files, progress)
        except OSError as error:
            raise DataError(files.where, "the object store must take the data set", str(error)) from error


def _upload(folder: Path, files: FileStore, progress: Progress) -> None:
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: name == MANIFEST)
    files.remove_file(MANIFEST)
    for done, name in enumerate(names, start=1):
        files.upload(folder / name, name)
        progress("uploading (files)", done, len(names))


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
