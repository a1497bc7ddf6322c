"""What a sweep keeps of how it was made: its trials are comparable as long as that does not change."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fer_ray.errors import SweepError
from fer_ray.files import sha256_of
from fer_ray.search.folder import SweepFolder
from fer_ray.search.spec import SweepSpec

#: Budgets, limits, resources, places and the model's name may change; a database may move.
_FIXED = ("objective", "constraints", "searcher", "scheduler", "seed", "precision", "study")


def fixed_part(folder: SweepFolder, spec: SweepSpec, imported: Iterable[str]) -> dict[str, Any]:
    """The values of a sweep file that stay, by their dotted keys; of the space's files, their digests.

    Args:
        folder: Has the sweep's own copies of them.
        spec: The sweep.
        imported: As for `space_digests`.
    """
    content = spec.model_dump(mode="json")
    sections = {key: content[key] for key in _FIXED}
    sections["space"] = {key: content["space"][key] for key in ("object", "arguments")}
    fixed: dict[str, Any] = {**space_digests(folder.space_file, folder.modules, imported)}
    for key, value in sections.items():
        parts = (
            {f"{key}.{name}": part for name, part in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
        fixed |= parts
    return fixed


def space_digests(space_file: Path, modules: Path, imported: Iterable[str]) -> dict[str, str | None]:
    """The digests of a space file and of what it imports; None of a file that is not there.

    Args:
        space_file: The file.
        modules: The folder that it imports from.
        imported: Files of that folder.
    """
    files = {"space.file": space_file, **{f"space.file: {name}": modules / name for name in imported}}
    return {key: sha256_of(file) if file.is_file() else None for key, file in files.items()}


def require_unchanged(folder: SweepFolder, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuses to go on with what has become another sweep.

    Args:
        folder: The sweep's.
        before: Its fixed part when it was made.
        now: The same, as its files are now.

    Raises:
        SweepError: With the first key that has changed.
    """
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            rule = f"must stay as it was when the sweep was made, {before.get(key)!r}"
            remedy = "Put it back, or make a new sweep"
            raise SweepError(f"sweep {folder.path}: {key}", rule, repr(now.get(key)), remedy)
