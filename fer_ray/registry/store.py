"""The registry: model folders that never change, and aliases that point at them.

<root>/<name>/<version>/manifest.json   written last: a version is there once its manifest is
<root>/<name>/<version>/...             the model's files
<root>/<name>/aliases/<alias>.json      one small object, replaced by one write
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyarrow
import pyarrow.fs

from fer_ray.errors import ModelNotFoundError, RegistryError
from fer_ray.files import sha256_of
from fer_ray.registry.card import render_card
from fer_ray.registry.fetching import cache_folder, copy_verified, first_difference
from fer_ray.registry.manifest import MANIFEST, Manifest, build_manifest, package_versions, read_manifest
from fer_ray.registry.names import (
    ALIASES,
    DEFAULT_ALIAS,
    Reference,
    check_name,
    is_version_id,
    new_version_id,
)
from fer_ray.registry.storage import Storage, open_filesystem, without_secrets

CARD = "card.md"
#: Manifest fields that `register` decides itself.
_OWN_FIELDS = {"format_version", "name", "version", "created", "files"}
_FILE, _FOLDER = pyarrow.fs.FileType.File, pyarrow.fs.FileType.Directory

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class ModelVersion:
    """A registered version.

    Args:
        name: The model's name.
        version: Its id; ids sort by age.
        location: Where its folder is, for people: a path or a URI without secrets.
        manifest: All that is known about it.
    """

    name: str
    version: str
    location: str
    manifest: Manifest

    @property
    def reference(self) -> str:
        """``name:version``, which names this version for ever."""
        return f"{self.name}:{self.version}"


def _storage_errors(
    method: Callable[Concatenate["Registry", P], R],
) -> Callable[Concatenate["Registry", P], R]:
    """Turns what a filesystem raises into a `RegistryError` that names the registry."""

    @wraps(method)
    def guarded(self: "Registry", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except (OSError, pyarrow.ArrowException) as error:
            where, rule = f"registry {self.location}", "its storage must be reachable and allow the access"
            raise RegistryError(where, rule, f"{type(error).__name__}: {error}") from error

    return guarded


class Registry:
    """Model versions and aliases below one root.

    Args:
        uri: A local path, or a URI that pyarrow reads (``s3://bucket/models``, ``gs://...``, ``file:///...``).
        filesystem: A pyarrow filesystem on which `uri` is a path, for what has no URI of its own.

    Raises:
        RegistryError: If no filesystem belongs to the URI. The root is not touched before the first call.
    """

    def __init__(self, uri: str | Path, filesystem: pyarrow.fs.FileSystem | None = None) -> None:
        self.uri = str(uri)
        self.location = without_secrets(self.uri)
        if filesystem is None:
            filesystem, root = open_filesystem(self.uri)
        else:
            root = self.uri
        self._storage = Storage(filesystem, root)

    def __repr__(self) -> str:
        return f"Registry({self.location!r})"

    @_storage_errors
    def register(self, name: str, folder: str | Path, manifest_fields: Mapping[str, Any]) -> ModelVersion:
        """Copies a folder's files into a new version, renders its card and writes its manifest last.

        The folder's own `manifest.json` and `card.md`, if any, are not copied: both are written anew. A copy
        that fails is taken back; one that is killed stays invisible, having no manifest.

        Args:
            name: The model's name.
            folder: A local folder with the files that `manifest_fields` names; all its files are copied.
            manifest_fields: The fields of `Manifest` but format_version, name, version, created and files;
                `versions` defaults to the installed packages.

        Raises:
            RegistryError: If a field breaks a rule or is unknown, a file is missing, or the storage refuses.
        """
        sources = _files_of(Path(folder))
        fields = _own_checked(check_name(name), manifest_fields)
        digests = {path: sha256_of(source) for path, source in sources.items()}
        # Checked before anything is written, with an id that only stands in.
        build_manifest({**fields, **_stamp(new_version_id()), "files": digests}, f"model {name}")
        version = self._claim_version(name)
        where = f"{name}/{version}"
        try:
            unsealed = build_manifest({**fields, **_stamp(version), "files": digests}, f"model {name}")
            for path, source in sources.items():
                self._storage.upload(source, f"{where}/{path}")
            card = render_card(unsealed).encode()
            self._storage.write(f"{where}/{CARD}", card)
            files = {**digests, CARD: _sha256(card)}
            manifest = unsealed.model_copy(update={"files": files})
            self._storage.write(f"{where}/{MANIFEST}", manifest.to_json().encode())
        except BaseException:
            self._storage.remove_folder(where)
            raise
        return self._version(name, version, manifest)

    @_storage_errors
    def models(self) -> list[str]:
        """The names of the models that have at least one version, sorted."""
        names = [name for name in self._storage.names("", _FOLDER) if not name.startswith(".")]
        return [name for name in names if self._version_ids(name)]

    @_storage_errors
    def version_ids(self, name: str) -> list[str]:
        """The ids of a model's versions, oldest first; cheap, as no manifest is read.

        Raises:
            ModelNotFoundError: If there is no such model.
        """
        return self._known_ids(name)

    @_storage_errors
    def versions(self, name: str) -> list[ModelVersion]:
        """A model's versions, oldest first.

        Raises:
            ModelNotFoundError: If there is no such model.
            RegistryError: If one of the manifests cannot be read.
        """
        return [self._load(name, version) for version in self._known_ids(name)]

    @_storage_errors
    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version id of a model.

        Raises:
            ModelNotFoundError: If there is no such model.
        """
        self._known_ids(name)
        return self._aliases(name)

    @_storage_errors
    def resolve(self, reference: str) -> ModelVersion:
        """The version that ``name``, ``name@alias`` or ``name:version`` means now.

        ``name`` alone is the alias ``production`` if set, else the newest version.

        Raises:
            ModelNotFoundError: If there is none; the message lists what there is.
            RegistryError: If the reference or the manifest cannot be read.
        """
        parsed = Reference.parse(reference)
        return self._load(parsed.name, self._version_of(parsed))

    @_storage_errors
    def promote(self, reference: str, alias: str) -> ModelVersion:
        """Points an alias at a version, in one write; whoever resolves it sees the old or the new one.

        Raises:
            ModelNotFoundError: If the reference means no version.
            RegistryError: If the alias breaks the rule for names.
        """
        check_name(alias, "alias")
        target = self.resolve(reference)
        content = {"name": target.name, "version": target.version, "promoted": _now()}
        self._storage.write(f"{target.name}/{ALIASES}/{alias}.json", json.dumps(content).encode())
        return target

    @_storage_errors
    def fetch(self, reference: str, into: str | Path | None = None) -> Path:
        """A local folder with the version's files, each checked against its digest.

        Args:
            reference: As for `resolve`.
            into: A folder to copy to, which must not exist or must hold this version already. By default a
                local registry's folder is used in place, and others are copied once to the user's cache
                (``FER_RAY_CACHE``, else ``~/.cache/fer_ray``).

        Raises:
            ModelNotFoundError: If the reference means no version.
            RegistryError: If a file's content is not what was registered, or `into` holds something else.
        """
        found = self.resolve(reference)
        where = f"{found.name}/{found.version}"
        if into is None and self._storage.is_local:
            folder = self._storage.local_path(where)
            if difference := first_difference(found.manifest, folder):
                raise RegistryError(f"model {found.reference}", "its files must be as registered", difference)
            return folder
        if into is None:
            folder = cache_folder(self.location) / found.name / found.version
            if folder.exists() and first_difference(found.manifest, folder):
                shutil.rmtree(folder)  # a cache that was damaged is made anew
        else:
            folder = Path(into)
        copy_verified(self._storage, where, found.manifest, folder)
        return folder

    def _claim_version(self, name: str) -> str:
        while True:
            # Half-copied versions count too, so that ids stay unique.
            taken = list(filter(is_version_id, self._storage.names(name, _FOLDER)))
            version = new_version_id(after=taken[-1] if taken else None)
            if self._storage.claim_folder(f"{name}/{version}"):
                return version

    def _version_ids(self, name: str) -> list[str]:
        candidates = list(filter(is_version_id, self._storage.names(name, _FOLDER)))
        complete = self._storage.exists(f"{name}/{version}/{MANIFEST}" for version in candidates)
        return [version for version, there in zip(candidates, complete, strict=True) if there]

    def _known_ids(self, name: str) -> list[str]:
        ids = self._version_ids(check_name(name))
        if not ids:
            there = ", ".join(self.models()) or "no models"
            raise ModelNotFoundError(
                f"model {name!r}", f"must be registered in {self.location}", "", f"It holds {there}"
            )
        return ids

    def _aliases(self, name: str) -> dict[str, str]:
        found = {}
        for file in self._storage.names(f"{name}/{ALIASES}", _FILE):
            if file.endswith(".json") and not file.startswith("."):
                found[file.removesuffix(".json")] = self._read_alias(name, file.removesuffix(".json"))
        return {alias: version for alias, version in found.items() if version is not None}

    def _read_alias(self, name: str, alias: str) -> str | None:
        content = self._storage.read(f"{name}/{ALIASES}/{alias}.json")
        if content is None:
            return None
        try:
            version = json.loads(content)["version"]
        except (ValueError, TypeError, KeyError) as error:
            where = f"{self.location}/{name}/{ALIASES}/{alias}.json"
            raise RegistryError(where, "must be a JSON object with a version", repr(content[:80])) from error
        return str(version)

    def _version_of(self, reference: Reference) -> str:
        name = reference.name
        if reference.version is None:
            version = self._read_alias(name, reference.alias or DEFAULT_ALIAS)
            if version is None and reference.alias is None:
                return self._known_ids(name)[-1]
        else:
            version = reference.version
        if version is not None and self._storage.exists([f"{name}/{version}/{MANIFEST}"])[0]:
            return version
        ids = self._known_ids(name)
        wanted = f"alias {reference.alias!r}" if version is None else f"version {version!r}"
        aliases = ", ".join(sorted(self._aliases(name))) or "none"
        shown = ", ".join(ids[-5:]) + (f" and {len(ids) - 5} older" if len(ids) > 5 else "")
        remedy = f"Its aliases: {aliases}. Its versions: {shown}"
        raise ModelNotFoundError(f"model {name!r}", f"has no {wanted} in {self.location}", "", remedy)

    def _load(self, name: str, version: str) -> ModelVersion:
        content = self._storage.read(f"{name}/{version}/{MANIFEST}")
        where = f"{self.location}/{name}/{version}/{MANIFEST}"
        if content is None:
            raise ModelNotFoundError(where, "must exist")
        manifest = read_manifest(content, where)
        if (manifest.name, manifest.version) != (name, version):
            received = f"{manifest.name}:{manifest.version}"
            raise RegistryError(where, "must name the folder that it lies in", received)
        return self._version(name, version, manifest)

    def _version(self, name: str, version: str, manifest: Manifest) -> ModelVersion:
        return ModelVersion(name, version, f"{self.location.rstrip('/')}/{name}/{version}", manifest)


def _files_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise RegistryError(f"model folder {folder}", "must be a folder", "no such folder")
    found = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {path: source for path, source in found.items() if path not in (MANIFEST, CARD)}


def _own_checked(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    known = set(Manifest.model_fields) - _OWN_FIELDS
    if unknown := sorted(set(fields) - known):
        rule = f"manifest_fields may have the keys {', '.join(sorted(known))}"
        raise RegistryError(f"model {name}", rule, ", ".join(unknown))
    return {"versions": package_versions(), **fields, "name": name}


def _stamp(version: str) -> dict[str, str]:
    return {"version": version, "created": _now()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
