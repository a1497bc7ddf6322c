"""The contract of a registry, over every kind of filesystem; what only local disk has, below."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fer_ray.errors import ModelNotFoundError, RegistryError
from fer_ray.files import sha256_of
from fer_ray.registry import Registry

Fields = dict[str, Any]


def test_what_is_registered_comes_back_as_it_was(registry: Registry, folder: Path, fields: Fields) -> None:
    made = registry.register("pets", folder, fields)
    found = registry.resolve(made.reference)
    assert found == made
    assert found.manifest.labels == ("cat", "dog")
    assert found.manifest.hyperparameters == {"units": 64, "momentum": None}
    local = registry.fetch(made.reference)
    for path in ("model.onnx", "model.weights.h5", "space.py", "extra/note.txt"):
        assert (local / path).read_bytes() == (folder / path).read_bytes()
    assert (local / "card.md").read_text().startswith("# pets")
    assert set(found.manifest.files) == {
        path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()
    } - {"manifest.json"}
    assert all(sha256_of(local / path) == digest for path, digest in found.manifest.files.items())
    assert json.loads((local / "manifest.json").read_text())["version"] == made.version


def test_nothing_is_there_before_the_first_version(registry: Registry) -> None:
    assert registry.models() == []
    with pytest.raises(ModelNotFoundError, match=r"model 'pets': is not registered in .*It holds no models"):
        registry.resolve("pets")


def test_versions_sort_by_age_within_a_second(registry: Registry, folder: Path, fields: Fields) -> None:
    made = [registry.register("pets", folder, fields).version for _ in range(5)]
    assert registry.version_ids("pets") == made == sorted(set(made))
    assert [version.version for version in registry.versions("pets")] == made
    assert registry.resolve("pets").version == made[-1]
    assert registry.models() == ["pets"]


def test_a_name_alone_means_production_then_newest(registry: Registry, folder: Path, fields: Fields) -> None:
    first, second = (registry.register("pets", folder, fields) for _ in range(2))
    assert registry.aliases("pets") == {}
    assert registry.resolve("pets") == second
    assert registry.promote(first.reference, "production") == first
    assert registry.resolve("pets") == first
    registry.promote(second.reference, "canary")
    assert registry.resolve("pets@canary") == second
    registry.promote("pets@canary", "production")
    assert registry.resolve("pets") == second
    assert registry.aliases("pets") == {"production": second.version, "canary": second.version}


def test_what_is_not_there_is_answered_with_what_is(registry: Registry, folder: Path, fields: Fields) -> None:
    made = registry.register("pets", folder, fields)
    registry.promote("pets", "production")
    with pytest.raises(ModelNotFoundError, match="It holds pets"):
        registry.resolve("cars")
    with pytest.raises(ModelNotFoundError, match=f"no alias 'canary'.*production.*{made.version}"):
        registry.resolve("pets@canary")
    with pytest.raises(ModelNotFoundError, match=f"no version .*{made.version}"):
        registry.resolve("pets:20200101T000000Z-000000")
    with pytest.raises(ModelNotFoundError):
        registry.promote("cars", "production")


def test_a_version_without_manifest_is_invisible(
    registry: Registry, folder: Path, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = registry.register("pets", folder, fields)

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    # As a SIGKILL just before the manifest: nothing after the last upload runs, no clean-up either.
    monkeypatch.setattr(registry._files, "remove_folder", lambda path: None)
    monkeypatch.setattr(registry._files, "write", killed)
    with pytest.raises(KilledError):
        registry.register("pets", folder, fields)
    monkeypatch.undo()
    assert len(registry._catalogue.claimed("pets")) == 2
    assert registry.version_ids("pets") == [whole.version]
    assert registry.resolve("pets") == whole
    assert registry.register("pets", folder, fields).version > registry._catalogue.claimed("pets")[1]


def test_a_failed_copy_is_taken_back(
    registry: Registry, folder: Path, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry._files, "upload", full)
    with pytest.raises(RegistryError, match="No space left"):
        registry.register("pets", folder, fields)
    assert registry._catalogue.claimed("pets") == []


def test_fetch_into_a_folder(registry: Registry, folder: Path, fields: Fields, tmp_path: Path) -> None:
    made = registry.register("pets", folder, fields)
    target = tmp_path / "somewhere" / "model"
    assert registry.fetch("pets", target) == target
    assert (target / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    assert registry.fetch("pets", target) == target  # it holds this version already
    (target / "model.onnx").write_bytes(b"another")
    with pytest.raises(RegistryError, match=r"model\.onnx has another content"):
        registry.fetch("pets", target)
    (tmp_path / "empty").mkdir()
    assert (registry.fetch(made.reference, tmp_path / "empty") / "manifest.json").is_file()
    assert sorted(path.name for path in target.parent.iterdir()) == ["model"]


@pytest.mark.parametrize("registry", ["mock", "memory"], indirect=True)
def test_a_remote_model_is_cached_and_a_damaged_cache_made_anew(
    registry: Registry, folder: Path, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("pets", folder, fields)
    first = registry.fetch("pets")
    downloads: list[str] = []
    download = registry._files.download
    monkeypatch.setattr(
        registry._files, "download", lambda path, to: (downloads.append(path), download(path, to))
    )
    assert registry.fetch("pets") == first
    assert downloads == []
    (first / "model.onnx").write_bytes(b"damaged")
    assert registry.fetch("pets") == first
    assert downloads != []
    assert (first / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()


@pytest.mark.parametrize("registry", ["mock", "memory"], indirect=True)
def test_a_remote_file_that_changed_is_refused(registry: Registry, folder: Path, fields: Fields) -> None:
    made = registry.register("pets", folder, fields)
    registry._files.write(f"pets/{made.version}/model.onnx", b"changed")
    with pytest.raises(RegistryError, match=r"model\.onnx has another content"):
        registry.fetch("pets")


# Not over fsspec's memory: its readers of one file share one position.
@pytest.mark.parametrize("registry", ["path", "mock"], indirect=True)
def test_replicas_of_a_node_may_fetch_at_once(registry: Registry, folder: Path, fields: Fields) -> None:
    registry.register("pets", folder, fields)
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: registry.fetch("pets"), range(8)))
    assert len(folders) == 1
    left = {path.name for path in next(iter(folders)).parent.iterdir()}
    assert not any(name.startswith(".") for name in left)


def test_a_local_file_that_changed_or_is_gone_is_refused(
    tmp_path: Path, folder: Path, fields: Fields
) -> None:
    registry = Registry(tmp_path / "registry")
    registry.register("pets", folder, fields)
    local = registry.fetch("pets")
    (local / "model.onnx").write_bytes(b"changed")
    with pytest.raises(RegistryError, match=r"model\.onnx has another content"):
        registry.fetch("pets")
    (local / "model.onnx").unlink()
    with pytest.raises(RegistryError, match=r"model\.onnx is missing"):
        registry.fetch("pets")


def test_many_register_at_once_on_local_disk(tmp_path: Path, folder: Path, fields: Fields) -> None:
    registry = Registry(tmp_path / "registry")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: registry.register("pets", folder, fields).version, range(16)))
    assert len(set(made)) == 16
    assert registry.version_ids("pets") == sorted(made)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": ["cat", "cat"]}, "labels must be distinct"),
        ({"labels": ["cat"]}, "labels"),
        ({"input_shape": [8, 8]}, "input_shape"),
        ({"input_shape": [0, 8, 1]}, r"input_shape\.0"),
        ({"default_engine": "torch"}, "default_engine 'torch' must be one of"),
        ({"engines": {"onnx": "gone.onnx"}}, r"the folder must hold gone\.onnx"),
        ({"engines": {"onnx": "../model.onnx"}}, "relative path inside"),
        ({"engines": {"onnx": "/etc/passwd"}}, "relative path inside"),
        ({"metrics": {"test": {"accuracy": 1.5}}}, r"metrics\.test\.accuracy"),
        ({"hyperparameters": {"rate": float("nan")}}, "must be plain JSON"),
        ({"label": ["cat", "dog"]}, "manifest_fields may have the keys .* Received: label"),
        ({"version": "20200101T000000Z-000000"}, "manifest_fields may have the keys"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused_before_anything_is_written(
    tmp_path: Path, folder: Path, fields: Fields, change: Fields, named: str
) -> None:
    registry = Registry(tmp_path / "registry")
    with pytest.raises(RegistryError, match=named):
        registry.register("pets", folder, {**fields, **change})
    assert not (tmp_path / "registry").exists()


def test_a_model_can_be_taken_to_another_registry(tmp_path: Path, folder: Path, fields: Fields) -> None:
    here, there = Registry(tmp_path / "here"), Registry(tmp_path / "there")
    here.register("pets", folder, fields)
    shutil.copytree(here.fetch("pets"), tmp_path / "taken")
    moved = there.register("pets", tmp_path / "taken", fields)
    assert there.resolve("pets") == moved
    assert there.fetch("pets").joinpath("card.md").read_text().count(moved.version) > 0


def test_a_manifest_of_a_newer_format_asks_for_an_upgrade(
    tmp_path: Path, folder: Path, fields: Fields
) -> None:
    registry = Registry(tmp_path / "registry")
    path = registry.fetch(registry.register("pets", folder, fields).reference) / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format_version": 2, "labels": "unreadable here"}))
    with pytest.raises(RegistryError, match=r"format_version must be at most 1.*Upgrade fer-ray"):
        registry.resolve("pets")
    path.write_text(json.dumps({**content, "colour": "blue"}))
    assert registry.resolve("pets").manifest.model_extra == {"colour": "blue"}
    assert json.loads(registry.resolve("pets").manifest.to_json())["colour"] == "blue"


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "pets"}'])
def test_a_broken_manifest_is_one_clear_error(
    tmp_path: Path, folder: Path, fields: Fields, content: str
) -> None:
    registry = Registry(tmp_path / "registry")
    local = registry.fetch(registry.register("pets", folder, fields).reference)
    (local / "manifest.json").write_text(content)
    with pytest.raises(RegistryError, match=r"manifest\.json"):
        registry.resolve("pets")


def test_a_copied_version_folder_does_not_pass_for_another(
    tmp_path: Path, folder: Path, fields: Fields
) -> None:
    registry = Registry(tmp_path / "registry")
    local = registry.fetch(registry.register("pets", folder, fields).reference)
    shutil.copytree(local, tmp_path / "registry" / "cars" / local.name)
    with pytest.raises(RegistryError, match="must name the folder that it lies in"):
        registry.resolve("cars")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": "../../etc"}', '{"version": 3}'])
def test_a_broken_alias_is_one_clear_error(
    tmp_path: Path, folder: Path, fields: Fields, content: str
) -> None:
    registry = Registry(tmp_path / "registry")
    registry.register("pets", folder, fields)
    registry.promote("pets", "production")
    (tmp_path / "registry" / "pets" / "aliases" / "production.json").write_text(content)
    with pytest.raises(RegistryError, match=r"production\.json"):
        registry.resolve("pets")


def test_storage_that_refuses_is_a_registry_error(tmp_path: Path, folder: Path, fields: Fields) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RegistryError, match="storage must be reachable"):
        Registry(tmp_path / "file").register("pets", folder, fields)
    with pytest.raises(RegistryError, match="must be a path or a URI"):
        Registry("nosuchscheme://bucket/models")
    with pytest.raises(RegistryError, match="must be a folder"):
        Registry(tmp_path / "registry").register("pets", tmp_path / "gone", fields)


def test_access_keys_in_a_uri_are_never_shown() -> None:
    uri = "nosuchscheme://AKIA:secret@bucket/models?endpoint_override=key"
    with pytest.raises(RegistryError) as raised:
        Registry(uri)
    assert "nosuchscheme://bucket/models" in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("AKIA", "secret", "key"))
