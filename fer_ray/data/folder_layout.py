"""Finds the images in class folders and reads split and class from where they lie."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fer_ray.data.labels import class_name, official_split, split_name
from fer_ray.errors import DataError

_IMAGE_SUFFIXES = frozenset(
    f".{kind}" for kind in ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "avif")
)


@dataclass(frozen=True)
class ImageFile:
    """An image in a source: its path under the source, and what the path says; None where it says nothing."""

    path: str
    split: str | None
    label: str | None


@dataclass(frozen=True)
class FolderLayout:
    """The images of a source, sorted by path.

    Args:
        files: All that are named like images.
        ignored: Files of other kinds, counted by suffix.
        renamed: Folders whose name is another spelling of their class.
    """

    files: list[ImageFile]
    ignored: dict[str, int]
    renamed: dict[str, str]


def find_images(root: Path, merge_classes: bool = False) -> FolderLayout:
    """Walks a folder of class folders, which may lie in split folders, and these in folders of any name.

    Args:
        root: The source.
        merge_classes: Make one class of folders in the same split whose names are spellings of one emotion.

    Raises:
        DataError: If there are no images in class folders, or the classes are not clear.
    """
    paths, ignored = _walk(root)
    common = _common_folders(paths)
    places = [_place(path, common) for path in paths]
    folders = {(split, folder) for split, folder in places if folder is not None}
    if not folders:
        raise DataError(
            str(root),
            "must hold images in one folder for each class",
            f"{len(paths):,} images, none of them in a class folder",
            "Name a folder with train, validation and test folders or class folders in it, or a CSV file",
        )
    _check_classes(root, folders, merge_classes)
    files = [
        ImageFile(
            path, official_split(PurePosixPath(path).name) or split, class_name(folder) if folder else None
        )
        for path, (split, folder) in zip(paths, places, strict=True)
    ]
    renamed = {folder: class_name(folder) for _, folder in folders if class_name(folder) != folder}
    return FolderLayout(files, dict(sorted(ignored.items())), dict(sorted(renamed.items())))


def _walk(root: Path) -> tuple[list[str], Counter[str]]:
    """All image files' paths under `root`, sorted; other files by suffix. Hidden files are passed over."""
    paths: list[str] = []
    ignored: Counter[str] = Counter()
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        for name in names:
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in _IMAGE_SUFFIXES:
                paths.append(path.relative_to(root).as_posix())
            else:
                ignored[path.suffix.lower() or name] += 1
    return sorted(paths), ignored


def _common_folders(paths: Sequence[str]) -> int:
    """How many leading folders all images share: wrappers such as ``images/``; a split or the last is none."""
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    shortest = min((len(parts) for parts in folders), default=0)
    wrappers = 0
    for same in zip(*folders, strict=False):
        if wrappers >= shortest - 1 or len(set(same)) > 1 or split_name(same[0]):
            break
        wrappers += 1
    return wrappers


def _place(path: str, common: int) -> tuple[str | None, str | None]:
    """The split and the class folder that a path names."""
    parts = PurePosixPath(path).parts[common:-1]
    for position, part in enumerate(parts):
        split = split_name(part)
        if split:
            # train/happy as a rule; happy/train too.
            rest = parts[position + 1 :] or parts[:position][-1:]
            return split, rest[0] if rest else None
    return None, parts[0] if parts else None


def _check_classes(root: Path, folders: Iterable[tuple[str | None, str]], merge: bool) -> None:
    spellings: dict[tuple[str | None, str], set[str]] = defaultdict(set)
    for split, folder in folders:
        if folder.strip().isdigit():
            raise DataError(
                str(root),
                "class folders must have names: numbers mean other emotions in every data set",
                folder,
                "Rename the folders, for example to 3_happy",
            )
        spellings[split, class_name(folder)].add(folder)
    for (_, name), same in sorted(spellings.items(), key=str):
        if len(same) > 1 and not merge:
            raise DataError(
                str(root),
                f"only one folder of a split may stand for the class {name}",
                ", ".join(sorted(same)),
                "Add --merge-classes to make one class of them, or rename one",
            )
