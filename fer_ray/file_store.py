"""Folders and small objects below one root of any `pyarrow.fs` filesystem."""

import uuid
from collections.abc import Iterable
from pathlib import Path

import pyarrow.fs

from fer_ray.errors import FerRayError
from fer_ray.files import write_atomically
from fer_ray.filesystems import open_filesystem, without_secrets


class FileStore:
    """Files below a root; every path is relative to it.

    Args:
        filesystem: Any pyarrow filesystem; a `SubTreeFileSystem` over local disk counts as local.
        root: A path on it. It need not exist before the first write.
        where: What messages call it; `root` if None.
    """

    def __init__(self, filesystem: pyarrow.fs.FileSystem, root: str, where: str | None = None) -> None:
        self.where = root if where is None else where
        while isinstance(filesystem, pyarrow.fs.SubTreeFileSystem):
            root = f"{filesystem.base_path.rstrip('/')}/{root.lstrip('/')}"
            filesystem = filesystem.base_fs
        self.filesystem, self._root = filesystem, root.rstrip("/")
        self.is_local = isinstance(filesystem, pyarrow.fs.LocalFileSystem)

    @classmethod
    def open(cls, uri: str | Path, what: str, error: type[FerRayError]) -> "FileStore":
        """The files below a path or a URI.

        Args:
            uri, what, error: As for `open_filesystem`.
        """
        return cls(*open_filesystem(str(uri), what, error), without_secrets(str(uri)))

    def local_path(self, path: str = "") -> Path:
        """Where `path` lies on this machine's disk; only for a local filesystem."""
        assert self.is_local
        return Path(self.full(path))

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is none."""
        try:
            with self.filesystem.open_input_stream(self.full(path)) as stream:
                content: bytes = stream.read()
            return content
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """A file's bytes; None where there is none."""
        info = self.filesystem.get_file_info(self.full(path))
        return info.size if info.type == pyarrow.fs.FileType.File else None

    def write(self, path: str, content: bytes) -> None:
        """Replaces a small file in one step: a rename on local disk, one upload on an object store."""
        if self.is_local:
            write_atomically(self.local_path(path), content)
            return
        self.filesystem.create_dir(self.full(path).rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(self.full(path)) as stream:
            stream.write(content)

    def try_writing(self, folder: str = "") -> None:
        """Writes a small file into a folder, making it, and removes the file again.

        Raises:
            OSError: If it cannot be written.
            pyarrow.ArrowException: The same.
        """
        mark = f"{folder}/.mark-{uuid.uuid4().hex[:8]}".removeprefix("/")
        self.write(mark, b"")
        self.remove_file(mark)

    def exists(self, paths: Iterable[str]) -> list[bool]:
        """Whether each path is a file."""
        infos = self.filesystem.get_file_info([self.full(path) for path in paths])
        return [info.type == pyarrow.fs.FileType.File for info in infos]

    def names(self, path: str, kind: pyarrow.fs.FileType) -> list[str]:
        """The sorted names of the files or folders directly in a folder; none where it does not exist."""
        selector = pyarrow.fs.FileSelector(self.full(path), allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector) if info.type == kind)

    def claim_folder(self, path: str) -> bool:
        """Makes a folder; False if it was there. Exclusive between processes on local disk only."""
        if self.is_local:
            try:
                self.local_path(path).mkdir(parents=True)
            except FileExistsError:
                return False
            return True
        if self.filesystem.get_file_info(self.full(path)).type != pyarrow.fs.FileType.NotFound:
            return False
        self.filesystem.create_dir(self.full(path), recursive=True)
        return True

    def upload(self, source: Path, path: str) -> None:
        """Copies a local file to `path`, making its folders."""
        self.filesystem.create_dir(self.full(path).rpartition("/")[0], recursive=True)
        local = pyarrow.fs.LocalFileSystem()
        pyarrow.fs.copy_files(
            str(source), self.full(path), source_filesystem=local, destination_filesystem=self.filesystem
        )

    def download(self, path: str, target: Path) -> None:
        """Copies the file `path` to a local file, making its folders."""
        target.parent.mkdir(parents=True, exist_ok=True)
        local = pyarrow.fs.LocalFileSystem()
        pyarrow.fs.copy_files(
            self.full(path), str(target), source_filesystem=self.filesystem, destination_filesystem=local
        )

    def is_empty(self) -> bool:
        """Whether the root holds nothing or is not there."""
        selector = pyarrow.fs.FileSelector(self.full(""), allow_not_found=True)
        return not self.filesystem.get_file_info(selector)

    def remove_file(self, path: str) -> None:
        """Deletes a file; no error if it is gone."""
        if self.exists([path])[0]:
            self.filesystem.delete_file(self.full(path))

    def remove_folder(self, path: str) -> None:
        """Deletes a folder and all in it; no error if it is gone."""
        if self.filesystem.get_file_info(self.full(path)).type == pyarrow.fs.FileType.Directory:
            self.filesystem.delete_dir(self.full(path))

    def full(self, path: str) -> str:
        """Where `path` lies on the filesystem."""
        return f"{self._root}/{path}" if path else self._root
