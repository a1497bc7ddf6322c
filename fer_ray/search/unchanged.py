"""What a sweep keeps of how it was made: its trials are comparable as long as that does not change."""

from typing import Any

from fer_ray.errors import SweepError
from fer_ray.files import sha256_of
from fer_ray.search.folder import SweepFolder
from fer_ray.search.spec import SweepSpec

#: Budgets, limits, resources, places and the model's name may change; a database may move.
_FIXED = ("objective", "constraints", "searcher", "scheduler", "seed", "precision", "study")


def fixed_part(folder: SweepFolder, spec: SweepSpec) -> dict[str, Any]:
    """The values of a sweep file that stay, by their dotted keys; of the space file, its digest."""
    content = spec.model_dump(mode="json")
    sections = {key: content[key] for key in _FIXED}
    sections["space"] = {key: content["space"][key] for key in ("object", "arguments")}
    fixed: dict[str, Any] = {"space.file": sha256_of(folder.space_file)}
    for key, value in sections.items():
        parts = (
            {f"{key}.{name}": part for name, part in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
        fixed |= parts
    return fixed


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
