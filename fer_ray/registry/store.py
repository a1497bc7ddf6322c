"""The registry: model folders that never change, and aliases that point at them.

<root>/<name>/<version>/manifest.json   written last: a version is there once its manifest is
<root>/<name>/<version>/...             the model's files
<root>/<name>/aliases/<alias>.json      one small object, replaced by one write
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyarrow
import pyarrow.fs

from fer_ray.errors import RegistryError
from fer_ray.file_store import FileStore
from fer_ray.files import sha256_of
from fer_ray.filesystems import without_secrets
from fer_ray.registry.card import render_card
from fer_ray.registry.catalogue import Catalogue, ModelVersion
from fer_ray.registry.fetching import cache_folder, copy_verified, first_difference
from fer_ray.registry.manifest import MANIFEST, Manifest, build_manifest, package_versions
from fer_ray.registry.names import ALIASES, Reference, check_name, new_version_id

CARD = "card.md"
#: Manifest fields that `register` decides itself.
_OWN_FIELDS = {"format_version", "name", "version", "created", "files"}

P = ParamSpec("P")
R = TypeVar("R")


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

    Attributes:
        location: The URI without user, password and query; what messages call the registry.

    Raises:
        RegistryError: If no filesystem belongs to the URI. The root is not touched before the first call.
    """

    def __init__(self, uri: str | Path, filesystem: pyarrow.fs.FileSystem | None = None) -> None:
        self.uri, self.location = str(uri), without_secrets(str(uri))
        if filesystem is None:
            self._files = FileStore.open(self.uri, "registry", RegistryError)
        else:
            self._files = FileStore(filesystem, self.uri)
        self._catalogue = Catalogue(self._files, self.location)

    def __repr__(self) -> str:
        return f"Registry({self.location!r})"

    @_storage_errors
    def check_writable(self) -> None:
        """Finds out whether a model could be registered, long before there is one.

        Raises:
            RegistryError: If its storage does not let us write.
        """
        self._files.try_writing()

    @_storage_errors
    def models(self) -> list[str]:
        """The names of the models that have at least one version, sorted; none where nothing exists yet."""
        return self._catalogue.models()

    @_storage_errors
    def version_ids(self, name: str) -> list[str]:
        """The ids of a model's versions, oldest first; cheap, as no manifest is read.

        Raises:
            ModelNotFoundError: If there is no such model.
        """
        return self._catalogue.version_ids(name)

    @_storage_errors
    def versions(self, name: str) -> list[ModelVersion]:
        """A model's versions, oldest first.

        Raises:
            ModelNotFoundError: If there is no such model.
            RegistryError: If one of the manifests cannot be read.
        """
        return [self._catalogue.load(name, version) for version in self._catalogue.version_ids(name)]

    @_storage_errors
    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version id of a model.

        Raises:
            ModelNotFoundError: If there is no such model.
        """
        self._catalogue.version_ids(name)
        return self._catalogue.aliases(name)

    @_storage_errors
    def resolve(self, reference: str) -> ModelVersion:
        """The version that ``name``, ``name@alias`` or ``name:version`` means now.

        ``name`` alone is the alias ``production`` if set, else the newest version.

        Raises:
            ModelNotFoundError: If there is none; the message lists what there is.
            RegistryError: If the reference, the alias or the manifest cannot be read.
        """
        return self._catalogue.find(Reference.parse(reference))

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
        draft = _draft(check_name(name), manifest_fields, sources)  # refuses before anything is written
        version = self._claim_version(name)
        draft = draft.model_copy(update={"version": version})
        where = f"{name}/{version}"
        try:
            for path, source in sources.items():
                self._files.upload(source, f"{where}/{path}")
            card = render_card(draft).encode()
            self._files.write(f"{where}/{CARD}", card)
            files = {**draft.files, CARD: hashlib.sha256(card).hexdigest()}
            manifest = draft.model_copy(update={"files": files})
            self._files.write(f"{where}/{MANIFEST}", manifest.to_json().encode())
        except BaseException:  # a Ctrl-C too must not leave half a version
            self._files.remove_folder(where)
            raise
        return self._catalogue.describe(manifest)

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
        self._files.write(f"{target.name}/{ALIASES}/{alias}.json", json.dumps(content).encode())
        return target

    @_storage_errors
    def fetch(self, reference: str, into: str | Path | None = None) -> Path:
        """A local folder with the version's files, each checked against its digest.

        Args:
            reference: As for `resolve`.
            into: A folder to copy to, which must be empty, missing or hold this version already. By default a
                local registry's folder is used in place, and others are copied once to the user's cache
                (``FER_RAY_CACHE``, else ``~/.cache/fer_ray``).

        Raises:
            ModelNotFoundError: If the reference means no version.
            RegistryError: If a file's content is not what was registered, or `into` holds something else.
        """
        found = self.resolve(reference)
        where = f"{found.name}/{found.version}"
        if into is None and self._files.is_local:
            folder = self._files.local_path(where)
            if difference := first_difference(found.manifest, folder):
                raise RegistryError(f"model {found.reference}", "its files must be as registered", difference)
            return folder
        folder = Path(into) if into is not None else cache_folder(self.location) / where
        if into is None and folder.exists() and first_difference(found.manifest, folder):
            shutil.rmtree(folder)  # a cache that was damaged is made anew
        copy_verified(self._files, where, found.manifest, folder)
        return folder

    def _claim_version(self, name: str) -> str:
        while True:
            taken = self._catalogue.claimed(name)
            version = new_version_id(after=taken[-1] if taken else None)
            if self._files.claim_folder(f"{name}/{version}"):
                return version


def _files_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise RegistryError(f"model folder {folder}", "must be a folder", "no such folder")
    found = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {path: source for path, source in found.items() if path not in (MANIFEST, CARD)}


def _draft(name: str, fields: Mapping[str, Any], sources: Mapping[str, Path]) -> Manifest:
    """The manifest but for its version id, which only stands in, and the card's digest."""
    known = set(Manifest.model_fields) - _OWN_FIELDS
    if unknown := sorted(set(fields) - known):
        rule = f"manifest_fields may have the keys {', '.join(sorted(known))}"
        raise RegistryError(f"model {name}", rule, ", ".join(unknown))
    own = {"name": name, "version": new_version_id(), "created": _now()}
    digests = {path: sha256_of(source) for path, source in sources.items()}
    draft = build_manifest(
        {"versions": package_versions(), **fields, **own, "files": digests}, f"model {name}"
    )
    draft.to_json()
    return draft


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
