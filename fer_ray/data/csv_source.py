"""fer2013.csv and its relatives: one row per image, with `emotion`, `pixels` and mostly `Usage`."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count as counting
from itertools import islice
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

from fer_ray.data.images import resize
from fer_ray.data.labels import EMOTIONS, class_name, is_emotion, split_name
from fer_ray.data.pixel_text import parse_pixel_text
from fer_ray.data.sources import ImageBatch, Refusal
from fer_ray.errors import DataError

#: Some 250 rows of FER2013: their arrays fit a processor's cache, and memory stays small.
_BLOCK_BYTES = 2 << 20
_MEGABYTE = 1_000_000


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


class _BadRowError(Exception):
    """A row that is refused, with reason and detail."""


class CsvSource:
    """A CSV file with a column of pixels as text; its columns may come in any order, with spaces in their names.

    Args:
        path: The file.
        size: Height and width to resize to; None keeps the file's own.

    Raises:
        DataError: If the file has no such columns, or its images are not square.
    """

    unit = "MB"

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path, self.name = path, path.name
        self.total = max(1, path.stat().st_size // _MEGABYTE)
        self._columns = _read_header(path)
        self._side = self._find_side()
        self._size = size or self._side
        self.image_shape = (self._size, self._size, 1)

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
        if rest:
            yield _Chunk({name: column[:0] for name, column in columns.items()}, [], rest, 0)

    def decode(self, chunk: _Chunk) -> ImageBatch:
        """Parses and checks a block's rows."""
        pixels, faults = parse_pixel_text(chunk.columns["pixels"], self._side**2)
        taken: list[_Row] = []
        refused = list(chunk.malformed)
        for row, line in enumerate(chunk.lines):
            cells = {name: column[row].as_py() for name, column in chunk.columns.items()}
            try:
                taken.append(_read_row(row, line, cells, faults.get(row)))
            except _BadRowError as error:
                reason, detail = error.args
                refused.append(Refusal(self._at(line), reason, detail, b",".join(cells.values())))
        kept = pixels[[row.number for row in taken]].reshape(-1, self._side, self._side, 1)
        return ImageBatch(
            resize(kept, self._size, self._size),
            [row.label for row in taken],
            [row.split for row in taken],
            [self._at(row.line) for row in taken],
            refused,
            chunk.units,
        )

    def report(self) -> dict[str, Any]:
        """The file's kind and what was done to its images."""
        resized = self._size != self._side
        rule = f"resized from {self._side} to {self._size} pixels" if resized else "kept at their own size"
        return {"kind": "csv", "columns": list(self._columns.values()), "images": f"grey, {rule}"}

    def _at(self, line: int) -> str:
        return f"{self.name}:{line}"

    def _malformed_row(self, line: int, text: str) -> Refusal:
        return Refusal(self._at(line), "wrong number of columns", f"not {len(self._columns)}", text.encode())

    def _batches(self, malformed: list[tuple[int, str]]) -> Iterator[pa.RecordBatch]:
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
        try:
            with pa_csv.open_csv(self.path, read, parse, convert) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise DataError(str(self.path), "must be a CSV file", str(error).rstrip(".")) from error

    def _find_side(self) -> int:
        """The side of the square that most of the first rows' pixels make."""
        first = next(self._batches([]), None)
        if first is None or not first.num_rows:
            raise DataError(str(self.path), "must hold at least one row")
        counts = Counter(len(text.split()) for text in first.column("pixels")[:100].to_pylist())
        count = counts.most_common(1)[0][0]
        side = isqrt(count)
        if side < 1 or side**2 != count:
            raise DataError(str(self.path), "pixels must make a square image", f"{count} values in a row")
        return side


def _line_numbers(malformed: list[tuple[int, str]], line: int, count: int) -> list[int]:
    """The next `count` whole rows' lines in the file, from `line` on."""
    if not malformed:
        return list(range(line, line + count))
    passed_over = {number for number, _ in malformed}
    return list(islice((at for at in counting(line) if at not in passed_over), count))


def _read_header(path: Path) -> dict[str, str]:
    """Maps plain column names to those of the file, in its order."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline(1 << 16)
    names = next(csv.reader([line]), [])
    columns = {name.strip().lower(): name for name in names}
    if not {"emotion", "pixels"} <= columns.keys() or len(columns) != len(names):
        raise DataError(
            str(path),
            "a CSV file of images must have a header with the columns emotion, pixels and, if it has splits, Usage",
            repr(line.strip()[:80]),
        )
    return columns


def _read_row(row: int, line: int, cells: Mapping[str, bytes], fault: tuple[str, str] | None) -> _Row:
    label = _label(cells["emotion"])
    if label is None:
        raise _BadRowError("unknown label", repr(_text(cells["emotion"])))
    split = split_name(_text(cells["usage"])) if "usage" in cells else None
    if split is None and "usage" in cells:
        raise _BadRowError("unknown split", repr(_text(cells["usage"])))
    if fault:
        raise _BadRowError(*fault)
    return _Row(row, line, label, split)


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()


def _label(value: bytes) -> str | None:
    """The class of FER2013's code 0 to 6, or of an emotion's name."""
    text = _text(value)
    if text.isdecimal():
        return EMOTIONS[int(text)] if len(text) < 4 and int(text) < len(EMOTIONS) else None
    name = class_name(text)
    return name if is_emotion(name) else None
