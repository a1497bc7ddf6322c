"""The search spaces and sweep files that come with fer_ray."""

import shutil
from pathlib import Path

from fer_ray.errors import ConfigError


def shipped_spaces() -> Path:
    """Their folder: inside the package where a wheel was installed, beside the package in a checkout."""
    package = Path(__file__).parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def shipped_file(name: str) -> Path:
    """One of them, relative to the working directory where it lies below that.

    Args:
        name: Such as ``baseline.py``.
    """
    path, here = shipped_spaces() / name, Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def copy_shipped_spaces(out: Path) -> None:
    """Copies all of them, to be changed.

    Args:
        out: The folder to make.

    Raises:
        ConfigError: If it is there already, or cannot be written.
    """
    if out.exists():
        raise ConfigError(str(out), "must not exist yet", remedy="Name another folder")
    try:
        shutil.copytree(shipped_spaces(), out, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise ConfigError(str(out), "must be a folder that can be written", str(error)) from error
