"""Imports faces from wherever they lie as a data set."""

from pathlib import Path

from fer_ray.data.dataset import Dataset
from fer_ray.data.folders import check_dataset_target
from fer_ray.data.image_shape import Channels
from fer_ray.data.opening import open_source
from fer_ray.data.options import WriteOptions
from fer_ray.data.writer import write_dataset
from fer_ray.errors import DataError
from fer_ray.filesystems import name_of
from fer_ray.progress import Progress, no_progress


def import_dataset(
    source: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    format: str = "auto",
    votes: str | Path | None = None,
    label_map: str | None = None,
    merge_classes: bool = False,
    size: int | None = None,
    channels: Channels = "auto",
    card: dict[str, str] | None = None,
    options: WriteOptions | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Imports a source as a data set; the same images give the same fingerprint from any kind of source.

    docs/data.md has a table of the kinds, what is read from their names, and their traps.

    Args:
        source: A CSV file, a Parquet file, a ZIP archive, or a folder of these, of class folders or of a known data
            set; a path, or a URI that pyarrow reads (``s3://bucket/faces``).
        out: The folder to write; a path, or a URI that pyarrow writes.
        name: Of the data set; the folder's by default.
        format: What the source is, one of `fer_ray.data.opening.FORMATS`; ``auto`` looks at what lies there.
        votes: FER+'s fer2013new.csv, for fer2013.csv: the votes become labels and soft labels.
        label_map: Names for labels: ``0=angry,1=disgust``, a YAML or JSON file, or a known code such as ``raf-db``.
        merge_classes: Make one class of folders or labels that are spellings of one emotion.
        size: Height and width to resize to; by default that of most images.
        channels: ``grey``, ``rgb``, or ``auto``: grey unless most images show colour.
        card: Texts for model cards (``description``, ``license``, ``caveats``, ``not_for``), in place of the usual.
        options: Classes, splits, subjects, duplicates, overwriting.
        progress: Told how far the import is.

    Raises:
        ConfigError: If an argument is none of what it may be.
        DataError: If the source is no data set, or `out` exists and may not be replaced.
    """
    options = options or WriteOptions()
    if size is not None and size < 1:
        raise DataError("size", "must be at least 1 pixel", str(size))
    check_dataset_target(out, options.overwrite)
    opened = open_source(
        source,
        format=format,
        votes=votes,
        label_map=label_map,
        merge_classes=merge_classes,
        size=size,
        channels=channels,
        progress=progress,
    )
    return write_dataset(
        opened, out, name=name or name_of(out), card=card, options=options, progress=progress
    )
