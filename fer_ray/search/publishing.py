"""Copies a sweep's results to where others read them, such as a bucket: `fer_ray.results.load` reads them there."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow

from fer_ray.errors import SweepError
from fer_ray.file_store import FileStore
from fer_ray.registry import Registry
from fer_ray.results.tables import TRIALS_FILE
from fer_ray.search.folder import SweepFolder
from fer_ray.search.spec import SweepSpec

#: Of no use anywhere else, or copied without its secrets. Checkpoints and what Ray and trackers write lie in
#: folders, which stay too.
_LEFT = frozenset({"lock", "tables.lock", "sweep.yaml"})


def check_publishing(spec: SweepSpec, *, new: bool) -> None:
    """Finds out before anything is trained whether the winner can be registered and results can be published.

    Args:
        spec: The sweep.
        new: Whether it begins; results of its name there are another's then.

    Raises:
        RegistryError: If the registry cannot be written.
        SweepError: If results cannot be published, or would replace those of another sweep.
    """
    if spec.model.register_winner:
        Registry(spec.model.registry).check_writable()
    if spec.publish is None:
        return
    files = _open(spec)
    with _one_error(files, "must be writable"):
        taken = new and files.exists([f"{spec.name}/{TRIALS_FILE}"])[0]
        files.try_writing(spec.name)
    if taken:
        remedy = "Take another name, or delete that sweep with `fer-ray sweep delete --published`"
        raise SweepError(f"publish {files.where}", "must not have results of that name", spec.name, remedy)


def publish(folder: SweepFolder, spec: SweepSpec) -> None:
    """Copies the files of a sweep's folder, in place of those that an earlier run has published.

    Args:
        folder: The sweep's.
        spec: The sweep; nothing is done unless it names where.

    Raises:
        SweepError: If they cannot be copied.
    """
    if spec.publish is None:
        return
    files = _open(spec)
    found = sorted(path for path in folder.path.iterdir() if path.is_file())
    remedy = f"They lie in {folder.path}; `fer-ray sweep resume {folder.path}` publishes them"
    with _one_error(files, "must take the sweep's results", remedy):
        for path in found:
            if path.name not in _LEFT and not path.name.startswith("."):
                files.upload(path, f"{spec.name}/{path.name}")
        files.write(f"{spec.name}/{folder.spec_file.name}", spec.masked().to_yaml().encode())


def unpublish(spec: SweepSpec) -> None:
    """Deletes what a sweep has published.

    Args:
        spec: The sweep; nothing is done unless it names where.

    Raises:
        SweepError: If it cannot be deleted.
    """
    if spec.publish is None:
        return
    files = _open(spec)
    with _one_error(files, "must let results be deleted"):
        files.remove_folder(spec.name)


def _open(spec: SweepSpec) -> FileStore:
    return FileStore.open(spec.publish or "", "publish", SweepError)


@contextmanager
def _one_error(files: FileStore, rule: str, remedy: str = "") -> Iterator[None]:
    """Turns what a filesystem raises into one error."""
    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())[:300]
        raise SweepError(f"publish {files.where}", rule, reason, remedy) from error
