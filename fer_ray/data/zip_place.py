"""ZIP archives as a place: read where they lie, never unpacked to disk."""

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import IO

from fer_ray.data.places import is_hidden
from fer_ray.data.sources import Refusal
from fer_ray.errors import DataError

#: What an archive may unpack to: so many times its own size, and this much in any case. Images come to 1 or 2
#: times, pixels as text to 4; a bomb to 1,000 and far more.
MOST_TIMES, ALWAYS_BYTES = 100, 64 << 20
#: What reading a broken member raises; an unknown kind of compression too.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE = re.compile(r"[A-Za-z]:")


class ZipPlace:
    """The files of a ZIP archive.

    A path that leads out of the archive is refused, not followed, though nothing is ever written to it; a link
    is read as the text that it is in the archive.

    Args:
        file: The archive, open for reading from any position.
        name: The archive's name without ``.zip``.
        where: How messages call it.

    Raises:
        DataError: If it is no whole archive, is encrypted, or unpacks to more than any data set.
    """

    readers = 1

    def __init__(self, file: IO[bytes], name: str, where: str) -> None:
        self.name, self.where = name, where
        refused: list[Refusal] = []
        try:
            self._archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(where, "must be a whole ZIP archive", str(error).rstrip(".")) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            self._admit(info, refused)
        self.refused: Sequence[Refusal] = refused
        self._check(file)

    def files(self) -> Mapping[str, int]:
        """The archive's files."""
        return {path: info.file_size for path, info in sorted(self._members.items())}

    def size(self, path: str) -> int:
        """A file's size when it is unpacked."""
        return self._members[path].file_size if path in self._members else 0

    def read(self, path: str, limit: int = -1) -> bytes:
        """Unpacks a file, or its beginning, to memory; never more than its entry says."""
        try:
            info = self._members[path]
            with self._archive.open(info) as file:
                # Without a number zipfile unpacks up to a gigabyte before it looks at the entry's size.
                return file.read(info.file_size if limit < 0 else min(limit, info.file_size))
        except _BROKEN as error:
            raise OSError(f"broken in the archive: {error}") from error

    def open(self, path: str) -> IO[bytes]:
        """Unpacks a file to a temporary one, which goes when it is closed."""
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile())
            try:
                with self._archive.open(self._members[path]) as packed:
                    shutil.copyfileobj(packed, file)
            except _BROKEN as error:
                where = f"{self.where}: {path}"
                raise DataError(where, "must be whole in the archive", str(error).rstrip(".")) from error
            file.seek(0)
            stack.pop_all()
        return file

    def _admit(self, info: zipfile.ZipInfo, refused: list[Refusal]) -> None:
        # Archives made on Windows may part folders by backslashes.
        path = info.filename.replace("\\", "/")
        if info.is_dir() or path.endswith("/"):
            return
        parts = path.split("/")
        if path.startswith("/") or _DRIVE.match(path) or ".." in parts:
            refused.append(Refusal(path, "unsafe path", "leads out of the archive", b""))
        elif path in self._members:
            refused.append(Refusal(path, "unsafe path", "twice in the archive", b""))
        elif is_hidden(path):
            return
        elif info.compress_type not in _COMPRESSIONS:
            # The other ways unpack a piece whole, whatever that comes to.
            refused.append(Refusal(path, "unreadable", "neither stored nor deflated in the archive", b""))
        else:
            self._members[path] = info

    def _check(self, file: IO[bytes]) -> None:
        if any(info.flag_bits & 1 for info in self._members.values()):
            raise DataError(
                self.where, "must be an archive without a password", remedy="Unpack it and name the folder"
            )
        size = file.seek(0, 2)
        unpacked = sum(info.file_size for info in self._archive.infolist())
        most = max(MOST_TIMES * size, ALWAYS_BYTES)
        if unpacked > most:
            raise DataError(
                self.where,
                f"an archive may unpack to at most {MOST_TIMES} times its size, or {ALWAYS_BYTES >> 20} MiB",
                f"{unpacked:,} bytes from {size:,}",
                "If you trust it, unpack it and name the folder",
            )
