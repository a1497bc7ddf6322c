"""Parquet files with encoded images: Hugging Face's, our own split files, others with a label beside a picture."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_ray.data.entries import Entry, Wishes
from fer_ray.data.known_names import subject_in_name
from fer_ray.data.labels import split_name
from fer_ray.data.parquet_columns import Columns, find_columns
from fer_ray.data.places import Place
from fer_ray.data.schema import MANIFEST, PIECE_BYTES, REJECTED, read_card, rows_within
from fer_ray.data.sources import Refusal
from fer_ray.errors import DataError

_MOST_ROWS = 256


@dataclass(frozen=True)
class _File:
    path: str
    split: str | None
    columns: Columns
    rows: int
    rows_per_piece: int

    def split_of(self, said: str | None) -> str | None:
        """A row's split: what its column says, or else the file's name."""
        return self.split if said is None else split_name(said)


class ParquetCollection:
    """The rows of one or more Parquet files; the split is in a column or in the file's or its folder's name.

    Args:
        place: Where the files lie.
        paths: The files.
        wishes: Names for the labels.
        ignored: Files beside them that are not read, counted by what they are.

    Raises:
        DataError: If a file is broken, has no images or labels, or has numbers as labels that nobody named.
    """

    refused: Sequence[Refusal] = ()

    def __init__(
        self, place: Place, paths: Sequence[str], wishes: Wishes, ignored: Mapping[str, int] | None = None
    ) -> None:
        self._place, self.name = place, place.name
        self._files = [self._open_file(path) for path in paths]
        labels = (pair for file in self._files for pair in self._labels_of(file))
        where = place.where if len(paths) > 1 else f"{place.where}: {paths[0]}"
        wishes.labels.check_splits(where, labels, wishes.merge_classes)
        self._ignored = dict(ignored or {})
        self.total = sum(file.rows for file in self._files)
        # Beside the files: they may lie in a folder of an archive.
        manifest = str(PurePosixPath(paths[0]).parent / MANIFEST)
        self._own = place.size(manifest) > 0
        self.card: Mapping[str, str] = read_card(place.read(manifest), place.where) if self._own else {}

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """Rows, with their encoded images."""
        seen: set[str] = set()
        for file in self._files:
            with self._opened(file.path) as opened:
                row = 0
                for batch in opened.iter_batches(
                    file.rows_per_piece, columns=file.columns.names, use_threads=False
                ):
                    yield self._entries(file, batch, row, seen)
                    row += batch.num_rows

    def load(self, entries: Sequence[Entry], limit: int = -1) -> Iterator[bytes | OSError]:
        """The entries bring their images with them."""
        for entry in entries:
            yield OSError("no image in the row") if entry.content is None else entry.content

    def report(self) -> dict[str, Any]:
        """The files and their columns."""
        return {
            "kind": "fer_ray data set" if self._own else "parquet",
            "files": len(self._files),
            "columns": sorted({name for file in self._files for name in file.columns.names}),
            "ignored_files": self._ignored,
        }

    def _open_file(self, path: str) -> _File:
        with self._opened(path) as file:
            columns = find_columns(file.schema_arrow, f"{self._place.where}: {path}")
            rows = rows_within(PIECE_BYTES, _row_bytes(file.metadata), _MOST_ROWS)
            return _File(path, _split_in_path(path), columns, file.metadata.num_rows, rows)

    def _labels_of(self, file: _File) -> set[tuple[str | None, str]]:
        """The different pairs of a split and a label in a file."""
        columns, pairs = file.columns, set[tuple[str | None, str | None]]()
        names = [name for name in (columns.label, columns.split) if name is not None]
        with self._opened(file.path) as opened:
            for batch in opened.iter_batches(columns=names, use_threads=False):
                pairs.update(zip(columns.splits(batch), columns.labels(batch), strict=True))
        return {(file.split_of(split), label) for split, label in pairs if label is not None}

    def _entries(self, file: _File, batch: pa.RecordBatch, start: int, seen: set[str]) -> list[Entry]:
        columns = file.columns
        rows = zip(
            columns.images(batch),
            columns.labels(batch),
            columns.splits(batch),
            columns.soft_labels(batch, f"{self._place.where}: {file.path}", start),
            strict=True,
        )
        entries = []
        for number, ((content, path), label, split, soft_label) in enumerate(rows, start):
            # Files made from image folders may have base names only, the same in every class.
            name = path if path and path not in seen else f"{file.path}:{number}"
            seen.add(name)
            refusal = None if label is not None else ("unknown label", "no label in the row")
            if split is not None and split_name(split) is None:
                refusal = "unknown split", repr(split)
            entries.append(
                Entry(
                    name,
                    label,
                    file.split_of(split),
                    subject_in_name(PurePosixPath(name).name),
                    soft_label=soft_label,
                    refusal=refusal,
                    content=content,
                )
            )
        return entries

    @contextmanager
    def _opened(self, path: str) -> Iterator[pq.ParquetFile]:
        try:
            with self._place.open(path) as file:
                yield pq.ParquetFile(file, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            where = f"{self._place.where}: {path}"
            raise DataError(where, "must be a whole Parquet file", str(error).strip().rstrip(".")) from error


def parquet_files(paths: Sequence[str]) -> list[str]:
    """Those of a place's files that are Parquet files with images; not what an import of ours refused."""
    return [p for p in paths if p.lower().endswith(".parquet") and PurePosixPath(p).name != REJECTED]


def _row_bytes(metadata: pq.FileMetaData) -> int:
    """How large the rows of a file are, uncompressed, where they are largest."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)


def _split_in_path(path: str) -> str | None:
    """The split that ``data/train-00000-of-00002.parquet`` or ``default/train/0000.parquet`` names."""
    *folders, name = PurePosixPath(path).parts
    words = name.removesuffix(".parquet").replace(".", "-").split("-")
    return next((s for text in (words[0], *reversed(folders)) if (s := split_name(text))), None)
