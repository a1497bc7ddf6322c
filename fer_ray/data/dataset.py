"""Opening a data set and decoding its splits to arrays."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_ray.data.images import decode_png_into
from fer_ray.data.schema import ROWS_PER_GROUP, SOFT_LABEL, SPLITS, Manifest, read_manifest, split_file
from fer_ray.errors import DataError
from fer_ray.pixels import Pixels
from fer_ray.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set on disk; nothing but its description is in memory.

    Args:
        path: The folder.
        name: For tables and model cards.
        classes: In the order of the integer labels.
        image_shape: Height, width, channels.
        counts: Images per split and class.
        fingerprint: Hexadecimal; equal for the same images in the same splits and classes.
        card: ``description``, ``license`` and ``caveats`` for model cards.
        report: What the import found and did.
        created: ISO 8601, UTC.
    """

    path: Path
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
        path, total = self._file(split), sum(self.counts[split].values())
        images = np.empty((total, *self.image_shape), np.uint8)
        labels = np.empty(total, np.int64)
        done = 0
        try:
            # One thread: decoding small images holds the interpreter's lock for most of its time.
            for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_GROUP, columns=["image", "label"]):
                labels[done : done + batch.num_rows] = batch.column("label").to_numpy()
                for content in batch.column("image").field("bytes").to_pylist():
                    decode_png_into(images[done], content)
                    done += 1
                progress(f"loading {split} (images)", done, total)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _broken(path, str(error)) from error
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
        path = self._file(split)
        try:
            if SOFT_LABEL not in pq.read_schema(path).names:
                remedy = "Import a source that has them, such as FER+"
                raise DataError(str(self.path), "must have soft labels", "none", remedy)
            column = pq.read_table(path, columns=[SOFT_LABEL]).column(0).combine_chunks()
            values: NDArray[np.float32] = column.flatten().to_numpy()
            return values.reshape(len(column), len(self.classes))
        except (OSError, pa.ArrowException, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise _broken(path, str(error)) from error

    def _file(self, split: str) -> Path:
        if split not in SPLITS:
            raise DataError(str(self.path), f"a split must be one of {', '.join(SPLITS)}", repr(split))
        return split_file(self.path, split)


def open_dataset(path: str | Path) -> Dataset:
    """Opens a data set that `fer-ray data import` or `fer-ray data synth` wrote.

    Raises:
        DataError: If the folder holds no `dataset.json`, one of a newer format version, or lacks a split file.
    """
    folder = Path(path)
    manifest: Manifest = read_manifest(folder)
    for split in SPLITS:
        _check_split(split_file(folder, split), manifest.counts.get(split, {}))
    return Dataset(path=folder, **vars(manifest))


def _check_split(path: Path, counts: dict[str, int]) -> None:
    if not path.is_file():
        raise DataError(str(path), "every split of a data set must have its file", "no such file")
    try:
        rows = pq.read_metadata(path).num_rows
    except (OSError, ValueError) as error:
        raise _broken(path, str(error)) from error
    if rows != sum(counts.values()):
        raise _broken(path, f"{rows} images where dataset.json counts {sum(counts.values())}")


def _broken(path: Path, reason: str) -> DataError:
    return DataError(str(path), "must be a whole split file", reason, "Import the source again")
