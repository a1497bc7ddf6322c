"""Imports a CSV file of pixels or class folders as a data set."""

from pathlib import Path

from fer_ray.data.csv_source import CsvSource
from fer_ray.data.dataset import Dataset
from fer_ray.data.folders import check_target
from fer_ray.data.writer import WriteOptions, write_dataset
from fer_ray.progress import Progress, no_progress


def import_dataset(
    source: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    size: int | None = None,
    options: WriteOptions | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Imports a source.

    Raises:
        DataError: If the source is no data set, or `out` exists and may not be replaced.
    """
    options = options or WriteOptions()
    check_target(Path(out), options.overwrite)
    opened = CsvSource(Path(source), size)
    name = name or Path(out).name
    return write_dataset(opened, Path(out), name=name, card={}, options=options, progress=progress)
