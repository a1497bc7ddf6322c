"""Opening any `pyarrow.fs` filesystem by its URI, without telling what must stay secret."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fer_ray.errors import FerRayError

if TYPE_CHECKING:
    import pyarrow.fs


def open_filesystem(uri: str, what: str, error: type[FerRayError]) -> tuple["pyarrow.fs.FileSystem", str]:
    """The filesystem of a URI and the root's path on it; text without ``://`` is a local path.

    Args:
        uri: A path, or what `pyarrow.fs.FileSystem.from_uri` reads.
        what: What lies there, for the error, such as ``registry``.
        error: Raised if pyarrow knows no such scheme or cannot read the URI.
    """
    import pyarrow
    import pyarrow.fs

    if "://" not in uri:
        return pyarrow.fs.LocalFileSystem(), str(Path(uri).expanduser().resolve())
    try:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(uri)
    except (pyarrow.ArrowException, OSError, ValueError) as cause:
        rule = "must be a path or a URI that pyarrow.fs.FileSystem.from_uri reads"
        raise error(f"{what} {without_secrets(uri)}", rule, type(cause).__name__) from cause
    return filesystem, path


def has_credentials(uri: str) -> bool:
    """Whether a key stands in a URI, where messages and files would repeat it.

    Before the ``@`` of ``abfss://container@account`` and ``hdfs://user@host`` stands none.
    """
    return re.match(r"s3://[^/]*@|[a-z0-9+.\-]+://[^/@]*:[^/@]*@", uri, re.IGNORECASE) is not None


def name_of(uri: str | Path) -> str:
    """The last part of a path or a URI, whatever it is called by: a folder's own name for ``.``."""
    text = str(uri)
    return urlsplit(text).path.rstrip("/").rpartition("/")[2] if "://" in text else Path(text).resolve().name


def without_secrets(uri: str) -> str:
    """The URI without user, password and query, where access keys may stand."""
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
