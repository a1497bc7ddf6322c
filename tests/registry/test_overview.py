"""What a registry holds, in rows; one broken version does not hide the others."""

from pathlib import Path
from typing import Any

from fer_ray.registry import Registry
from fer_ray.registry.overview import list_models, list_versions


def test_rows_tell_versions_aliases_and_numbers_with_their_protocol(
    tmp_path: Path, folder: Path, fields: dict[str, Any], score: dict[str, Any]
) -> None:
    registry = Registry(tmp_path / "registry")
    assert list_models(registry) == []
    first = registry.register("pets", folder, fields)  # its score has no protocol
    second = registry.register(
        "pets", folder, {**fields, "metrics": {"test": {**score, "protocol": "Once."}}}
    )
    newest, oldest = list_versions(registry, "pets")
    assert (oldest["version"], oldest["accuracy"], oldest["n"]) == (first.version, None, None)
    assert (newest["version"], newest["accuracy"], newest["n"]) == (second.version, 0.5, 200)
    assert newest["interval"] == [0.43, 0.57]
    assert newest["aliases"] == oldest["aliases"] == []
    (row,) = list_models(registry)
    assert (row["model"], row["versions"], row["version"]) == ("pets", 2, second.version)
    registry.promote(first.reference, "production")
    (row,) = list_models(registry)
    assert (row["version"], row["aliases"]) == (first.version, {"production": first.version})
    assert list_versions(registry, "pets")[1]["aliases"] == ["production"]


def test_a_version_that_cannot_be_read_is_a_row_with_its_problem(
    tmp_path: Path, folder: Path, fields: dict[str, Any]
) -> None:
    registry = Registry(tmp_path / "registry")
    registry.register("pets", folder, fields)
    broken = registry.register("pets", folder, fields)
    (registry.fetch(broken.reference) / "manifest.json").write_text("{")
    newest, oldest = list_versions(registry, "pets")
    assert "must be JSON" in newest["problem"]
    assert oldest["problem"] is None
    assert newest.keys() == oldest.keys()
    assert "must be JSON" in list_models(registry)[0]["problem"]
