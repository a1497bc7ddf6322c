"""Rows that list what a registry holds; a version that cannot be read is a row with its problem."""

from typing import Any

from fer_ray.errors import RegistryError
from fer_ray.registry.manifest import SplitMetrics
from fer_ray.registry.store import Registry


def list_models(registry: Registry) -> list[dict[str, Any]]:
    """One row per model, sorted by name: what its name alone means, and how good that version is.

    Keys: ``model``, ``versions`` (count), ``aliases`` (alias to version id), ``version`` and, of this version, the
    keys of `list_versions`.
    """
    rows = []
    for name in registry.models():
        ids, aliases = registry.version_ids(name), registry.aliases(name)
        current = aliases.get("production", ids[-1])
        row = {"model": name, "versions": len(ids), "aliases": aliases}
        rows.append({**row, **_version_row(registry, name, current)})
    return rows


def list_versions(registry: Registry, name: str) -> list[dict[str, Any]]:
    """One row per version of a model, newest first.

    Keys: ``version``, ``created``, ``aliases`` (names), ``default_engine``, ``data``; ``accuracy``, ``interval``
    and ``n`` of the test split, None where their protocol is not recorded; ``problem``, None where it can be read.

    Raises:
        ModelNotFoundError: If there is no such model.
    """
    aliases = registry.aliases(name)
    rows = []
    for version in reversed(registry.version_ids(name)):
        names = [alias for alias, target in aliases.items() if target == version]
        rows.append({**_version_row(registry, name, version), "aliases": names})
    return rows


def _version_row(registry: Registry, name: str, version: str) -> dict[str, Any]:
    try:
        manifest = registry.resolve(f"{name}:{version}").manifest
    except RegistryError as error:
        keys = ("created", "default_engine", "data", "accuracy", "interval", "n")
        return {"version": version, **dict.fromkeys(keys), "problem": str(error)}
    return {
        "version": version,
        "created": manifest.created,
        "default_engine": manifest.default_engine,
        "data": manifest.data.name,
        **_numbers(manifest.metrics.get("test")),
        "problem": None,
    }


def _numbers(score: SplitMetrics | None) -> dict[str, Any]:
    if score is None or not score.protocol:
        return dict.fromkeys(("accuracy", "interval", "n"))
    return {"accuracy": score.accuracy, "interval": list(score.interval), "n": score.n}
