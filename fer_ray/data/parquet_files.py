"""The Parquet files of a data set, written as images come in."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fer_ray.data.duplicates import Integers
from fer_ray.data.schema import COMPRESSION, REJECTED_SCHEMA, ROWS_PER_GROUP
from fer_ray.data.soft_labels import Shares
from fer_ray.data.sources import Refusal

#: Large images make row groups of fewer than `ROWS_PER_GROUP`.
_GROUP_BYTES = 64 << 20


class RejectedFile:
    """`rejected.parquet`, written as images are refused; counts the reasons."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, REJECTED_SCHEMA, use_dictionary=False, **COMPRESSION)
        self.counts: dict[str, int] = {}

    def add(self, refused: Iterable[Refusal]) -> None:
        """Appends refused images."""
        rows = [vars(refusal) for refusal in refused]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA))
        for row in rows:
            self.counts[row["reason"]] = self.counts.get(row["reason"], 0) + 1

    def close(self) -> None:
        """Finishes the file."""
        self._writer.close()


class SplitWriter:
    """A split's Parquet file, written in row groups of at most `ROWS_PER_GROUP` images."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        # Dictionaries and statistics of image bytes cost time and find nothing.
        self._writer = pq.ParquetWriter(
            path, schema, use_dictionary=["label"], write_statistics=["label"], **COMPRESSION
        )
        self._schema, self._waiting = schema, list[pa.RecordBatch]()
        self._rows = self._bytes = 0

    def add(self, images: pa.StructArray, labels: Integers, soft_labels: Shares | None) -> None:
        """Appends images, struct<bytes, path>, their labels, and soft labels where the schema has them."""
        columns = [images, pa.array(labels, pa.int64())]
        if soft_labels is not None:
            columns.append(pa.FixedSizeListArray.from_arrays(soft_labels.ravel(), soft_labels.shape[1]))
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self._rows += len(labels)
        self._bytes += images.nbytes
        if self._rows >= ROWS_PER_GROUP or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=ROWS_PER_GROUP)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        """Writes what is left and finishes the file."""
        self._flush()
        self._writer.close()
