"""Where a source's files lie: a folder here, a ZIP archive, or a folder on any `pyarrow.fs` filesystem."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

import pyarrow
import pyarrow.fs

from fer_ray.data.sources import Refusal
from fer_ray.errors import DataError
from fer_ray.filesystems import has_credentials, open_filesystem, without_secrets

#: The start of the text file that Git LFS leaves where a file was not fetched.
LFS_POINTER = b"version https://git-lfs"
#: Files that are asked for at once on a filesystem where each takes a journey.
_REMOTE_READERS = 16


class Place(Protocol):
    """Files below one root; paths are relative to it, with ``/``. Every method but `files` is thread-safe."""

    #: The root's own name, and how messages call it.
    name: str
    where: str
    #: How many files are best read at once.
    readers: int
    #: Files that are there and never read, such as those with unsafe paths; complete after `files`.
    refused: Sequence[Refusal]

    def files(self) -> Mapping[str, int]:
        """Paths and sizes in bytes, sorted by path, without hidden files and what macOS adds to archives."""

    def size(self, path: str) -> int:
        """A file's size in bytes, 0 if there is no such file."""

    def read(self, path: str, limit: int = -1) -> bytes:
        """A file's content, or its first `limit` bytes.

        Raises:
            OSError: If this file cannot be read.
            DataError: If the place itself is gone.
        """

    def open(self, path: str) -> IO[bytes]:
        """Opens a file that is too large for memory, for reading from any position."""


def as_text(path: str) -> str:
    """A path with its odd bytes replaced, if it is no UTF-8: what can be written down."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def is_hidden(path: str) -> bool:
    """Whether a path is of a file that no data set means: ``.DS_Store``, ``.git/...``, ``__MACOSX/...``."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(path).parts)


def read_each(place: Place, paths: Iterable[str], limit: int = -1) -> Iterator[bytes | OSError]:
    """Reads files in order, several at once where that is faster; what could not be read comes as its error."""

    def attempt(path: str) -> bytes | OSError:
        try:
            return place.read(path, limit)
        except OSError as error:
            return error

    if place.readers == 1:
        yield from map(attempt, paths)
        return
    waiting = iter(paths)
    with ThreadPoolExecutor(place.readers, "fer_ray.data.read") as pool:
        while some := list(islice(waiting, 8 * place.readers)):
            yield from pool.map(attempt, some)


def read_start(place: Place, path: str, limit: int) -> bytes:
    """The beginning of a file without which there is no source.

    Raises:
        DataError: If it cannot be read, or was left behind by Git LFS.
    """
    try:
        return check_fetched(place.read(path, limit), f"{place.where}/{path}")
    except OSError as error:
        raise DataError(f"{place.where}/{path}", "the source must be readable", str(error)) from error


def check_fetched(content: bytes, where: str) -> bytes:
    """Gives a file's content back.

    Raises:
        DataError: If Git LFS left it behind in place of the file.
    """
    if content.startswith(LFS_POINTER):
        remedy = "Run `git lfs pull` where it came from"
        raise DataError(where, "the file must be fetched", "a Git LFS pointer", remedy)
    return content


class LocalFolder:
    """A folder on this machine."""

    readers = 1

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name, self.where = as_text(root.resolve().name), as_text(str(root))
        self.refused: Sequence[Refusal] = ()

    def files(self) -> Mapping[str, int]:
        """Walks the folder; links to folders are not followed."""
        found: dict[str, int] = {}
        linked: list[Refusal] = []
        for folder, below, names in os.walk(self._root, onerror=_refuse_folder):
            below[:] = [name for name in below if not is_hidden(name)]
            links = (path for path in (Path(folder, name) for name in below) if path.is_symlink())
            linked += [
                Refusal(
                    as_text(path.relative_to(self._root).as_posix()), "link to a folder", "not followed", b""
                )
                for path in sorted(links)
            ]
            for path in (Path(folder, name) for name in names if not is_hidden(name)):
                name = path.relative_to(self._root).as_posix()
                found[name] = self.size(name)
        self.refused = linked
        return dict(sorted(found.items()))

    def size(self, path: str) -> int:
        """Looks at a file."""
        return (self._root / path).stat().st_size if (self._root / path).exists() else 0

    def read(self, path: str, limit: int = -1) -> bytes:
        """Reads a file."""
        with (self._root / path).open("rb") as file:
            return file.read(limit)

    def open(self, path: str) -> IO[bytes]:
        """Opens a file; pyarrow reads it without Python's help."""
        file: IO[bytes] = pyarrow.OSFile(os.fsencode(self._root / path))
        return file


def _refuse_folder(error: OSError) -> None:
    """Images in a folder that cannot be listed would be missing without a word."""
    raise DataError(str(error.filename), "every folder of a source must be readable", error.strerror or "")


class RemoteFolder:
    """A folder on a `pyarrow.fs` filesystem, such as a bucket of S3.

    Args:
        filesystem: The filesystem.
        root: The folder's path on it.
        where: Its URI, for messages, without what must stay secret.
    """

    readers = _REMOTE_READERS
    refused: Sequence[Refusal] = ()

    def __init__(self, filesystem: pyarrow.fs.FileSystem, root: str, where: str) -> None:
        self._filesystem, self._root = filesystem, root.rstrip("/")
        self.name, self.where = self._root.rpartition("/")[2], where

    def files(self) -> Mapping[str, int]:
        """Lists the folder and all below it."""
        selector = pyarrow.fs.FileSelector(self._root, recursive=True)
        try:
            infos = self._filesystem.get_file_info(selector)
        except OSError as error:
            raise _unreachable(self.where, error) from error
        start = len(self._root) + 1
        found = {i.path[start:]: i.size for i in infos if i.type == pyarrow.fs.FileType.File}
        return {path: size for path, size in sorted(found.items()) if not is_hidden(path)}

    def size(self, path: str) -> int:
        """Asks for a file's size."""
        try:
            return self._filesystem.get_file_info(f"{self._root}/{path}").size or 0
        except OSError as error:
            raise _unreachable(self.where, error) from error

    def read(self, path: str, limit: int = -1) -> bytes:
        """Reads a file; pyarrow has tried several times before it gives up."""
        try:
            with self._filesystem.open_input_file(f"{self._root}/{path}") as file:
                content: bytes = file.read(None if limit < 0 else limit)
            return content
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unreachable(self.where, error) from error

    def open(self, path: str) -> IO[bytes]:
        """Opens a file."""
        try:
            file: IO[bytes] = self._filesystem.open_input_file(f"{self._root}/{path}")
            return file
        except OSError as error:
            raise _unreachable(self.where, error) from error


def locate(source: str | Path) -> tuple[Place, str | None]:
    """Finds a path or URI.

    Returns:
        The folder, and None; or the folder of a file, and the file's path in it.

    Raises:
        DataError: If there is nothing, or its filesystem cannot be reached.
    """
    if "://" in str(source):
        return _locate_remote(str(source))
    path = Path(source)
    if path.is_dir():
        return LocalFolder(path), None
    if path.is_file():
        return LocalFolder(path.parent), path.name
    raise DataError(str(path), "the source must be a file or a folder", "no such file")


def _locate_remote(uri: str) -> tuple[Place, str | None]:
    shown = without_secrets(uri)
    if has_credentials(uri):
        raise DataError(
            shown, "a source's address must hold no credentials", remedy="Put them into the environment"
        )
    filesystem, path = open_filesystem(uri, "source", DataError)
    try:
        kind = filesystem.get_file_info(path).type
    except OSError as error:
        raise _unreachable(shown, error) from error
    if kind == pyarrow.fs.FileType.Directory:
        return RemoteFolder(filesystem, path, shown), None
    if kind == pyarrow.fs.FileType.NotFound:
        raise DataError(shown, "the source must be a file or a folder", "no such file")
    folder, _, name = path.rpartition("/")
    return RemoteFolder(filesystem, folder, shown.rpartition("/")[0]), name


def _unreachable(where: str, error: Exception) -> DataError:
    return DataError(
        where,
        "the source's storage must be reachable and allow the access",
        f"{type(error).__name__}: {_first_line(error)}",
        "Check the address, and the credentials in the environment",
    )


def _first_line(error: Any) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
