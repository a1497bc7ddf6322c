"""Folders and small objects below one root of any `pyarrow.fs` filesystem."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.fs

from fer_ray.files import write_atomically


class Storage:
    """What the registry needs of a filesystem; every path is relative to the root.

    Args:
        filesystem: Any pyarrow filesystem; a `SubTreeFileSystem` over local disk counts as local.
        root: A path on it. It need not exist before the first write.
    """

    def __init__(self, filesystem: pyarrow.fs.FileSystem, root: str) -> None:
        while isinstance(filesystem, pyarrow.fs.SubTreeFileSystem):
            root = f"{filesystem.base_path.rstrip('/')}/{root.lstrip('/')}"
            filesystem = filesystem.base_fs
        self._filesystem, self._root = filesystem, root.rstrip("/")
        self.is_local = isinstance(filesystem, pyarrow.fs.LocalFileSystem)

    def local_path(self, path: str) -> Path:
        """Where `path` lies on this machine's disk; only for a local filesystem."""
        assert self.is_local
        return Path(self._full(path))

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is none."""
        try:
            with self._filesystem.open_input_stream(self._full(path)) as stream:
                content: bytes = stream.read()
            return content
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Replaces a small file in one step: a rename on local disk, one upload on an object store."""
        if self.is_local:
            write_atomically(self.local_path(path), content)
            return
        self._filesystem.create_dir(self._full(path).rpartition("/")[0], recursive=True)
        with self._filesystem.open_output_stream(self._full(path)) as stream:
            stream.write(content)

    def exists(self, paths: Iterable[str]) -> list[bool]:
        """Whether each path is a file."""
        infos = self._filesystem.get_file_info([self._full(path) for path in paths])
        return [info.type == pyarrow.fs.FileType.File for info in infos]

    def names(self, path: str, kind: pyarrow.fs.FileType) -> list[str]:
        """The sorted names of the files or folders directly in a folder; none where it does not exist."""
        selector = pyarrow.fs.FileSelector(self._full(path), allow_not_found=True)
        return sorted(
            info.base_name for info in self._filesystem.get_file_info(selector) if info.type == kind
        )

    def claim_folder(self, path: str) -> bool:
        """Makes a folder; False if it was there. Exclusive between processes on local disk only."""
        if self.is_local:
            try:
                self.local_path(path).mkdir(parents=True)
            except FileExistsError:
                return False
            return True
        if self._filesystem.get_file_info(self._full(path)).type != pyarrow.fs.FileType.NotFound:
            return False
        self._filesystem.create_dir(self._full(path), recursive=True)
        return True

    def upload(self, source: Path, path: str) -> None:
        """Copies a local file to `path`, making its folders."""
        self._filesystem.create_dir(self._full(path).rpartition("/")[0], recursive=True)
        local = pyarrow.fs.LocalFileSystem()
        pyarrow.fs.copy_files(
            str(source), self._full(path), source_filesystem=local, destination_filesystem=self._filesystem
        )

    def download(self, path: str, target: Path) -> None:
        """Copies the file `path` to a local file, making its folders."""
        target.parent.mkdir(parents=True, exist_ok=True)
        local = pyarrow.fs.LocalFileSystem()
        pyarrow.fs.copy_files(
            self._full(path), str(target), source_filesystem=self._filesystem, destination_filesystem=local
        )

    def remove_folder(self, path: str) -> None:
        """Deletes a folder and all in it; no error if it is gone."""
        if self._filesystem.get_file_info(self._full(path)).type == pyarrow.fs.FileType.Directory:
            self._filesystem.delete_dir(self._full(path))

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root
