"""Reading a registry's folders: which models, versions and aliases there are, and what a reference means."""

import json
from dataclasses import dataclass

import pyarrow.fs

from fer_ray.errors import ModelNotFoundError, RegistryError
from fer_ray.file_store import FileStore
from fer_ray.registry.manifest import MANIFEST, Manifest, read_manifest
from fer_ray.registry.names import ALIASES, DEFAULT_ALIAS, Reference, check_name, is_version_id

_FILE, _FOLDER = pyarrow.fs.FileType.File, pyarrow.fs.FileType.Directory
#: How many versions an error message lists.
_SHOWN = 5


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


class Catalogue:
    """The reading half of a registry.

    Args:
        files: Where the folders are.
        location: What to call that place in messages.
    """

    def __init__(self, files: FileStore, location: str) -> None:
        self._files, self._location = files, location.rstrip("/")

    def models(self) -> list[str]:
        """Names that have a complete version, sorted."""
        names = [name for name in self._files.names("", _FOLDER) if not name.startswith(".")]
        return [name for name in names if self._complete(name)]

    def claimed(self, name: str) -> list[str]:
        """Ids of all version folders, complete or not, oldest first."""
        return [folder for folder in self._files.names(name, _FOLDER) if is_version_id(folder)]

    def version_ids(self, name: str) -> list[str]:
        """Ids of the complete versions, oldest first.

        Raises:
            ModelNotFoundError: If there are none.
        """
        ids = self._complete(check_name(name))
        if not ids:
            remedy = f"It holds {', '.join(self.models()) or 'no models'}"
            raise ModelNotFoundError(f"model {name!r}", f"is not registered in {self._location}", "", remedy)
        return ids

    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version id."""
        files = self._files.names(f"{name}/{ALIASES}", _FILE)
        names = [
            file.removesuffix(".json")
            for file in files
            if file.endswith(".json") and not file.startswith(".")
        ]
        targets = {alias: self._target(name, alias) for alias in names}
        return {alias: version for alias, version in targets.items() if version is not None}

    def find(self, reference: Reference) -> ModelVersion:
        """The version that a reference means now.

        Raises:
            ModelNotFoundError: If there is none; the message lists what there is.
            RegistryError: If its manifest or alias cannot be read.
        """
        name, version = reference.name, reference.version
        if version is None:
            version = self._target(name, reference.alias or DEFAULT_ALIAS)
        if version is None and reference.alias is None:
            version = self.version_ids(name)[-1]
        if version is None or not self._files.exists([f"{name}/{version}/{MANIFEST}"])[0]:
            raise self._not_found(
                name, f"alias {reference.alias!r}" if version is None else f"version {version}"
            )
        return self.load(name, version)

    def load(self, name: str, version: str) -> ModelVersion:
        """Reads one version's manifest.

        Raises:
            RegistryError: If it cannot be read or belongs to another version.
        """
        where = f"{self._location}/{name}/{version}/{MANIFEST}"
        content = self._files.read(f"{name}/{version}/{MANIFEST}")
        if content is None:
            raise ModelNotFoundError(where, "must exist")
        manifest = read_manifest(content, where)
        if (manifest.name, manifest.version) != (name, version):
            received = f"{manifest.name}:{manifest.version}"
            raise RegistryError(where, "must name the folder that it lies in", received)
        return self.describe(manifest)

    def describe(self, manifest: Manifest) -> ModelVersion:
        """The version that a manifest describes."""
        location = f"{self._location}/{manifest.name}/{manifest.version}"
        return ModelVersion(manifest.name, manifest.version, location, manifest)

    def _complete(self, name: str) -> list[str]:
        ids = self.claimed(name)
        there = self._files.exists(f"{name}/{version}/{MANIFEST}" for version in ids)
        return [version for version, complete in zip(ids, there, strict=True) if complete]

    def _target(self, name: str, alias: str) -> str | None:
        content = self._files.read(f"{name}/{ALIASES}/{alias}.json")
        if content is None:
            return None
        try:
            version = json.loads(content)["version"]
        except (ValueError, TypeError, KeyError) as error:
            where = f"{self._location}/{name}/{ALIASES}/{alias}.json"
            raise RegistryError(where, "must be a JSON object with a version", repr(content[:80])) from error
        if not isinstance(version, str) or not is_version_id(version):
            where = f"{self._location}/{name}/{ALIASES}/{alias}.json: version"
            raise RegistryError(where, "must read like 20261122T140501Z-3f9a2c", repr(version)[:80])
        return version

    def _not_found(self, name: str, wanted: str) -> ModelNotFoundError:
        ids = self.version_ids(name)
        older = f" and {len(ids) - _SHOWN} older" if len(ids) > _SHOWN else ""
        aliases = ", ".join(self.aliases(name)) or "none"
        remedy = f"Its aliases: {aliases}. Its versions: {', '.join(ids[-_SHOWN:])}{older}"
        return ModelNotFoundError(f"model {name!r}", f"has no {wanted} in {self._location}", "", remedy)
