"""fer2013.csv and its relatives: one row per image, with `emotion`, `pixels` and mostly `Usage`."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count as counting
from itertools import islice
from math import isqrt
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

from fer_ray.data import checks
from fer_ray.data.csv_labels import CsvLabels
from fer_ray.data.images import resize
from fer_ray.data.pixel_text import parse_pixel_text
from fer_ray.data.places import Place, as_text, read_start
from fer_ray.data.sources import ImageBatch, Refusal, SoftLabel
from fer_ray.errors import DataError

#: Some 250 rows of FER2013: their arrays fit a processor's cache, and memory stays small.
_BLOCK_BYTES = 2 << 20
_MEGABYTE = 1_000_000
_HEADER_RULE = (
    "a CSV file of images must have a header with the columns emotion, pixels and, if it has splits, Usage"
)


@dataclass(frozen=True)
class _Chunk:
    columns: Mapping[str, pa.BinaryArray]
    lines: list[int]
    malformed: list[Refusal]
    units: int


class _Row(NamedTuple):
    """A row that was read: its number in the chunk, its line in the file."""

    number: int
    line: int
    label: str
    split: str | None
    soft_label: SoftLabel | None


class CsvSource:
    """A CSV file with a column of pixels as text; its columns may come in any order, with spaces in their names.

    Args:
        place: Where the file lies.
        path: The file.
        labels: What its labels and splits mean.
        size: Height and width to resize to; None keeps the file's own.
        ignored: Files beside it that are not read, counted by what they are.

    Raises:
        DataError: If the file has no such columns, or its images are not square.
    """

    unit = "MB"

    def __init__(
        self,
        place: Place,
        path: str,
        labels: CsvLabels,
        size: int | None = None,
        ignored: Mapping[str, int] | None = None,
    ) -> None:
        self._place, self._path, self._labels, self._ignored = place, path, labels, dict(ignored or {})
        self.name, self._where = as_text(path.rpartition("/")[2]), f"{place.where}/{path}"
        self.total = max(1, place.size(path) // _MEGABYTE)
        self._columns = columns_of(place, path)
        if not {"emotion", "pixels"} <= self._columns.keys():
            raise DataError(self._where, _HEADER_RULE, repr(",".join(self._columns.values())[:80]))
        self._side = self._find_side()
        self._size = size or self._side
        self.image_shape = (self._size, self._size, 1)
        self.card = labels.card

    def chunks(self) -> Iterator[_Chunk]:
        """Streams the file in blocks of rows."""
        malformed: list[tuple[int, str]] = []
        columns: dict[str, pa.BinaryArray] = {}
        line, done_bytes, done_units, told = 2, 0, 0, 0
        for batch in self._batches(malformed):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            lines = _line_numbers(malformed, line, batch.num_rows)
            line = lines[-1] + 1 if lines else line
            done_bytes += batch.nbytes
            units = min(done_bytes // _MEGABYTE, self.total) - done_units
            done_units += units
            # The reader runs ahead, so this may hold malformed rows of later blocks; they are told once.
            refused = [self._malformed_row(*row) for row in malformed[told:]]
            told += len(refused)
            yield _Chunk(columns, lines, refused, units)
        rest = [self._malformed_row(*row) for row in malformed[told:]]
        self._labels.check_rows(self._where, max([line - 1, *(at for at, _ in malformed)]) - 1)
        if rest:
            yield _Chunk({name: column[:0] for name, column in columns.items()}, [], rest, 0)

    def decode(self, chunk: _Chunk) -> ImageBatch:
        """Parses and checks a block's rows."""
        pixels, faults = parse_pixel_text(chunk.columns["pixels"], self._side**2)
        taken: list[_Row] = []
        refused = list(chunk.malformed)
        emotions = chunk.columns["emotion"].to_pylist()
        usages = chunk.columns["usage"].to_pylist() if "usage" in chunk.columns else [None] * len(emotions)
        for row, (line, emotion, usage) in enumerate(zip(chunk.lines, emotions, usages, strict=True)):
            said = self._labels.read(self._where, line, emotion, usage)
            fault = said.refusal or faults.get(row)
            if fault:
                cells = b",".join(column[row].as_py() for column in chunk.columns.values())
                refused.append(Refusal(self._at(line), *fault, cells))
            else:
                taken.append(_Row(row, line, said.label, said.split, said.soft_label))
        kept = pixels[[row.number for row in taken]].reshape(-1, self._side, self._side, 1)
        return ImageBatch(
            resize(kept, self._size, self._size),
            [row.label for row in taken],
            [row.split for row in taken],
            [self._at(row.line) for row in taken],
            refused,
            chunk.units,
            soft_labels=[row.soft_label for row in taken] if self._labels.has_votes else (),
            found=[(checks.RESIZED,)] * len(taken) if self._size != self._side else (),
        )

    def finish(self) -> None:
        """Checks that the label map's labels were met."""
        self._labels.finish(self.name)

    def report(self) -> dict[str, Any]:
        """The file's kind and what was done to its images."""
        resized = self._size != self._side
        rule = f"resized from {self._side} to {self._size} pixels" if resized else "kept at their own size"
        columns = list(self._columns.values())
        return {
            "kind": "csv",
            "columns": columns,
            "images": f"grey, {rule}",
            **self._labels.report(),
            "ignored_files": self._ignored,
        }

    def _at(self, line: int) -> str:
        return f"{self.name}:{line}"

    def _malformed_row(self, line: int, text: str) -> Refusal:
        return Refusal(self._at(line), "wrong number of columns", f"not {len(self._columns)}", text.encode())

    def _batches(
        self, malformed: list[tuple[int, str]], beginning: bytes | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The file's columns, block by block; rows of another length are told to `malformed`, line and text."""

        def skip(row: pa_csv.InvalidRow) -> str:
            malformed.append((row.number, row.text))
            return "skip"

        # Without its threads the reader knows the line of a malformed row; it is not what limits the speed.
        read = pa_csv.ReadOptions(
            block_size=_BLOCK_BYTES, column_names=list(self._columns), skip_rows=1, use_threads=False
        )
        parse = pa_csv.ParseOptions(invalid_row_handler=skip)
        wanted = [name for name in ("emotion", "pixels", "usage") if name in self._columns]
        convert = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.binary()), include_columns=wanted, strings_can_be_null=False
        )
        opened = self._place.open(self._path) if beginning is None else BytesIO(beginning)
        try:
            with opened as file, pa_csv.open_csv(file, read, parse, convert) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise DataError(self._where, "must be a CSV file", str(error).rstrip(".")) from error
        except OSError as error:
            raise DataError(self._where, "must be readable to its end", str(error).rstrip(".")) from error

    def _find_side(self) -> int:
        """The side of the square that most of the first rows' pixels make."""
        start = read_start(self._place, self._path, _BLOCK_BYTES)
        whole_rows = start[: start.rfind(b"\n") + 1] if len(start) == _BLOCK_BYTES else start
        first = next(self._batches([], whole_rows or start), None)
        if first is None or not first.num_rows:
            raise DataError(self._where, "must hold at least one row")
        counts = Counter(len(text.split()) for text in first.column("pixels")[:100].to_pylist())
        count = counts.most_common(1)[0][0]
        side = isqrt(count)
        if side < 1 or side**2 != count:
            raise DataError(self._where, "pixels must make a square image", f"{count} values in a row")
        return side


def columns_of(place: Place, path: str) -> dict[str, str]:
    """Maps the plain names of a CSV file's columns to those in the file, in its order; empty if two are alike."""
    line = read_start(place, path, 1 << 16).decode("utf-8-sig", errors="replace").partition("\n")[0]
    names: Sequence[str] = next(csv.reader([line.rstrip("\r")]), [])
    columns = {name.strip().lower(): name for name in names}
    return columns if len(columns) == len(names) else {}


def _line_numbers(malformed: list[tuple[int, str]], line: int, count: int) -> list[int]:
    """The next `count` whole rows' lines in the file, from `line` on."""
    if not malformed:
        return list(range(line, line + count))
    passed_over = {number for number, _ in malformed}
    return list(islice((at for at in counting(line) if at not in passed_over), count))
