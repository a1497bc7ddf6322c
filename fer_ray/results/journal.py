"""The append-only journal of a sweep's epochs: one JSON object per line, on the disk before `append` returns."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_ray.errors import DataError

#: Key of the non-finite numbers of a record, which JSON has no words for.
_NON_FINITE = "non_finite"


@dataclass(frozen=True)
class EpochJournal:
    """Records of epochs, in the order in which they happened, in a JSON Lines file.

    A line counts once its line break is written. What a kill left behind the last line break was never
    acknowledged: `read` skips it and the next `append` cuts it off. A broken line before that can only be
    damage to the file and is refused, since what follows it could belong to other trials' decisions.

    NaN and infinities: the number is null in its place, and the extra key ``non_finite`` maps its name to
    ``nan``, ``inf`` or ``-inf``; `read` puts the floats back. So the file is strict JSON.

    One process writes at a time; any number may read.

    Args:
        path: The file; made by the first `append`, with its folder.
    """

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds one record: written, flushed and synced.

        Args:
            record: JSON values; non-finite floats at the top level only.

        Raises:
            DataError: If the record cannot be said in JSON.
            OSError: If the disk refuses.
        """
        line = (_encode(record, self.path) + "\n").encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.truncate(_acknowledged(file.seek(0, os.SEEK_END), file))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All acknowledged records in order; none where there is no file yet.

        Raises:
            DataError: If a line that was acknowledged is not a JSON object.
        """
        if not self.path.exists():
            return []
        return records_in(self.path.read_bytes(), str(self.path))


def records_in(content: bytes, where: str) -> list[dict[str, Any]]:
    """The acknowledged records in the content of a journal, wherever it was read.

    Raises:
        DataError: As `EpochJournal.read`.
    """
    *lines, _torn = content.split(b"\n")
    return [_decode(line, where, number) for number, line in enumerate(lines, start=1)]


def _acknowledged(size: int, file: Any) -> int:
    """The length of the file up to and with its last line break."""
    end = size
    while end:
        start = max(0, end - 65536)
        file.seek(start)
        position = file.read(end - start).rfind(b"\n")
        if position >= 0:
            return int(start + position + 1)
        end = start
    return 0


def _encode(record: Mapping[str, Any], path: Path) -> str:
    odd = {
        key: value for key, value in record.items() if isinstance(value, float) and not math.isfinite(value)
    }
    plain = {key: None if key in odd else value for key, value in record.items()}
    if _NON_FINITE in record:
        raise DataError(str(path), f"'{_NON_FINITE}' is the journal's own key", repr(record[_NON_FINITE]))
    if odd:
        plain[_NON_FINITE] = {key: repr(float(value)) for key, value in odd.items()}
    try:
        return json.dumps(plain, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise DataError(str(path), "a record must be JSON", f"{record!r} ({error})") from error


def _decode(line: bytes, where: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
        odd = record.pop(_NON_FINITE, {})
        return {**record, **{key: float(text) for key, text in odd.items()}}
    except (ValueError, AttributeError, TypeError) as error:
        shown = repr(line[:80])
        remedy = "The file is damaged: restore it, or delete this line to lose its epoch"
        raise DataError(f"{where}, line {number}", "must be one JSON object", shown, remedy) from error
