"""Opening a data set and decoding its splits to arrays."""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_ray.data.images import decode_png_into
from fer_ray.data.schema import PIECE_BYTES, SOFT_LABEL, SPLITS, read_manifest, rows_within, split_file
from fer_ray.errors import DataError
from fer_ray.file_store import FileStore
from fer_ray.pixels import Pixels
from fer_ray.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set on disk or in an object store; nothing but its description is in memory.

    Args:
        files: Its folder's.
        name: For tables and model cards.
        classes: In the order of the integer labels.
        image_shape: Height, width, channels.
        counts: Images per split and class.
        fingerprint: Hexadecimal; equal for the same images in the same splits and classes.
        card: ``description``, ``license`` and ``caveats`` for model cards.
        report: What the import found and did.
        created: ISO 8601, UTC.
    """

    files: FileStore = field(repr=False, compare=False)
    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, dict[str, int]]
    fingerprint: str
    card: dict[str, str]
    report: dict[str, Any] = field(repr=False)
    created: str

    def load(self, split: str, progress: Progress = no_progress) -> tuple[Pixels, NDArray[np.int64]]:
        """Decodes a split.

        Args:
            split: ``train``, ``validation`` or ``test``.
            progress: Told how many images are decoded.

        Returns:
            Images, uint8 (N, H, W, C), C-contiguous; labels, int64 (N,), positions in `classes`.

        Raises:
            DataError: If there is no such split, or its file is broken.
        """
        self._require(split)
        total = sum(self.counts[split].values())
        images = np.empty((total, *self.image_shape), np.uint8)
        labels = np.empty(total, np.int64)
        done, rows = 0, rows_within(PIECE_BYTES, prod(self.image_shape))
        try:
            with self.open_split(split) as file:
                # One thread: decoding small images holds the interpreter's lock for most of its time.
                for batch in file.iter_batches(rows, columns=["image", "label"]):
                    labels[done : done + batch.num_rows] = batch.column("label").to_numpy()
                    for content in batch.column("image").field("bytes").to_pylist():
                        decode_png_into(images[done], content)
                        done += 1
                    progress(f"loading {split} (images)", done, total)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise self.broken(split, str(error)) from error
        return images, labels

    def soft_labels(self, split: str) -> NDArray[np.float32]:
        """Reads a split's soft labels, such as the shares of FER+'s votes.

        Args:
            split: ``train``, ``validation`` or ``test``.

        Returns:
            float32 (N, K) in the order of `load` and of `classes`; rows sum to 1; their greatest is the label.

        Raises:
            DataError: If there is no such split, its file is broken, or the source had no soft labels.
        """
        try:
            with self.open_split(split) as file:
                if SOFT_LABEL not in file.schema_arrow.names:
                    remedy = "Import a source that has them, such as FER+"
                    raise DataError(self.files.where, "must have soft labels", "none", remedy)
                column = file.read([SOFT_LABEL]).column(0).combine_chunks()
            values: NDArray[np.float32] = column.flatten().to_numpy()
            return values.reshape(len(column), len(self.classes))
        except (OSError, pa.ArrowException, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise self.broken(split, str(error)) from error

    def open_split(self, split: str) -> pq.ParquetFile:
        """A split's file, with the columns of `fer_ray.data.schema.split_schema`.

        Raises:
            DataError: If there is no such split.
            OSError, pyarrow.ArrowException: If it cannot be read.
        """
        self._require(split)
        # Reading ahead spares journeys to an object store, and costs memory here.
        path, ahead = self.files.full(split_file(split)), not self.files.is_local
        return pq.ParquetFile(path, filesystem=self.files.filesystem, pre_buffer=ahead)

    def broken(self, split: str, reason: str) -> DataError:
        """What to raise about a split's file that cannot be read."""
        path, remedy = f"{self.files.where}/{split_file(split)}", "Import the source again"
        return DataError(path, "must be a whole split file", reason.rstrip("."), remedy)

    def _require(self, split: str) -> None:
        if split not in SPLITS:
            raise DataError(self.files.where, f"a split must be one of {', '.join(SPLITS)}", repr(split))

    @property
    def path(self) -> Path:
        """The folder, of a data set on this machine."""
        return self.files.local_path()


def open_dataset(path: str | Path) -> Dataset:
    """Opens a data set that `fer-ray data import` or `fer-ray data synth` wrote.

    Args:
        path: Its folder: a path, or a URI that pyarrow reads (``s3://bucket/faces``).

    Raises:
        DataError: If the folder holds no `dataset.json`, one of a newer format version, or lacks a split file.
    """
    files = FileStore.open(path, "data set", DataError)
    data = Dataset(files=files, **vars(read_manifest(files)))
    for split in SPLITS:
        _check_split(data, split)
    return data


def _check_split(data: Dataset, split: str) -> None:
    try:
        with data.open_split(split) as file:
            rows = file.metadata.num_rows
    except FileNotFoundError as error:
        path = f"{data.files.where}/{split_file(split)}"
        raise DataError(path, "every split of a data set must have its file", "no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise data.broken(split, str(error)) from error
    counted = sum(data.counts.get(split, {}).values())
    if rows != counted:
        raise data.broken(split, f"{rows} images where dataset.json counts {counted}")
