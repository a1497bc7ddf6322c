"""Bringing a version's files to this machine, each checked against its digest."""

import hashlib
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from fer_ray.errors import RegistryError
from fer_ray.file_store import FileStore
from fer_ray.files import sha256_of
from fer_ray.registry.manifest import MANIFEST, Manifest


def cache_folder(location: str) -> Path:
    """Where copies of a remote registry's versions lie: ``FER_RAY_CACHE``, else the user's cache folder."""
    base = os.environ.get("FER_RAY_CACHE")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "fer_ray"
    return root / "models" / hashlib.sha256(location.encode()).hexdigest()[:12]


def first_difference(manifest: Manifest, folder: Path) -> str | None:
    """The first file that is missing or not as registered, in words; None where all are."""
    for path, digest in manifest.files.items():
        if not (folder / path).is_file():
            return f"{path} is missing"
        if sha256_of(folder / path) != digest:
            return f"{path} has another content"
    return None


def copy_verified(files: FileStore, where: str, manifest: Manifest, target: Path) -> None:
    """Copies a version to a local folder that appears whole or not at all.

    A folder that holds the version already is left as it is, also when another process was faster.

    Raises:
        RegistryError: If a file's content is not what was registered, or the folder holds something else.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or not any(target.iterdir()):
        temporary = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            for path in [*manifest.files, MANIFEST]:
                files.download(f"{where}/{path}", temporary / path)
            _refuse_difference(manifest, temporary, "its files must be as registered")
            temporary.chmod(0o755)  # mkdtemp's folders are private
            if _renamed(temporary, target):
                return
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    _refuse_difference(manifest, target, f"{target} must not exist or hold this version")


def _renamed(temporary: Path, target: Path) -> bool:
    try:
        temporary.rename(target)
    except OSError:
        if not target.exists():
            raise
        return False  # another process was faster
    return True


def _refuse_difference(manifest: Manifest, folder: Path, rule: str) -> None:
    if difference := first_difference(manifest, folder):
        raise RegistryError(f"model {manifest.name}:{manifest.version}", rule, difference)
