"""Writing files that are whole or not there."""

import hashlib
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Replaces `path` in one step, so that a kill or a full disk leaves the old file or the new one.

    Args:
        path: The file.
        content: Its new content.
        mode: Its permissions, less the process's mask.

    Raises:
        OSError: If the file cannot be written; the old file is then still in place.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
