"""Imports a CSV file of pixels or class folders as a data set."""

from pathlib import Path

from fer_ray.data.csv_source import CsvSource
from fer_ray.data.dataset import Dataset
from fer_ray.data.folder_source import Channels, FolderSource
from fer_ray.data.folders import check_target
from fer_ray.data.image_files import LFS_POINTER
from fer_ray.data.schema import MANIFEST
from fer_ray.data.sources import Source
from fer_ray.data.writer import WriteOptions, write_dataset
from fer_ray.errors import DataError
from fer_ray.progress import Progress, no_progress


def import_dataset(
    source: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    size: int | None = None,
    channels: Channels = "auto",
    merge_classes: bool = False,
    card: dict[str, str] | None = None,
    options: WriteOptions | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Imports a source as a data set; the same images give the same fingerprint from a CSV file and from folders.

    Args:
        source: A CSV file such as fer2013.csv, or a folder of class folders, in split folders or not.
        out: The folder to write.
        name: Of the data set; the folder's by default.
        size: Height and width to resize to; by default that of most images.
        channels: ``grey``, ``rgb``, or ``auto``: grey unless most images show colour.
        merge_classes: Make one class of folders whose names are spellings of one emotion.
        card: Texts for model cards (``description``, ``license``, ``caveats``, ``not_for``), in place of the usual.
        options: Duplicates, missing splits, overwriting.
        progress: Told how far the import is.

    Raises:
        DataError: If the source is no data set, or `out` exists and may not be replaced.
    """
    options, out = options or WriteOptions(), Path(out)
    if size is not None and size < 1:
        raise DataError("size", "must be at least 1 pixel", str(size))
    check_target(out, options.overwrite)
    opened = open_source(
        Path(source), size=size, channels=channels, merge_classes=merge_classes, progress=progress
    )
    return write_dataset(
        opened, out, name=name or out.resolve().name, card=card, options=options, progress=progress
    )


def open_source(
    path: Path,
    *,
    size: int | None = None,
    channels: Channels = "auto",
    merge_classes: bool = False,
    progress: Progress = no_progress,
) -> Source:
    """Finds out what kind of source a path is.

    Raises:
        DataError: If it is none.
    """
    if path.is_dir():
        if (path / MANIFEST).is_file():
            raise DataError(str(path), "is a data set already, and needs no import")
        return FolderSource(path, size, channels, merge_classes, progress)
    if not path.is_file():
        raise DataError(str(path), "the source must be a CSV file or a folder", "no such file")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise DataError(str(path), "the source must hold images", "an empty file")
    if start.startswith(LFS_POINTER):
        raise DataError(
            str(path),
            "the source must be fetched",
            "a Git LFS pointer",
            "Run `git lfs pull` where it came from",
        )
    if b"\0" in start:
        kind = "a ZIP archive" if start.startswith(b"PK") else "a binary file"
        raise DataError(
            str(path), "the source must be a CSV file or a folder", kind, "Unpack archives before the import"
        )
    return CsvSource(path, size)
