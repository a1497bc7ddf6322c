"""One folder for each class, which may lie in split folders, and these in folders of any name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes
from fer_ray.data.known_names import data_set_of, subject_in_name
from fer_ray.data.labels import class_name, is_emotion, official_split, split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.errors import DataError


def has_emotion_folders(listing: Listing) -> bool:
    """Whether most images lie in a folder that is named like an emotion; then file names do not decide."""
    inside = sum(any(_is_emotion(part) for part in PurePosixPath(p).parts[:-1]) for p in listing.images)
    return inside * 2 > len(listing.images)


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads split and class from the folders, and the split of FER2013 and the subject from the files' names.

    Raises:
        DataError: If there are no images in class folders, or the classes are not clear.
    """
    where, paths = listing.place.where, listing.images
    common = _common_folders(paths)
    places = [_place(path, common) for path in paths]
    folders = {(split, folder) for split, folder in places if folder is not None}
    if not folders:
        raise DataError(
            where,
            "must hold images in one folder for each class",
            f"{len(paths):,} images, none of them in a class folder",
            "Name a folder with train, validation and test folders or class folders in it, or another source",
        )
    _check_classes(where, folders, wishes)
    entries = [_entry(path, *place) for path, place in zip(paths, places, strict=True)]
    name = wishes.labels.name
    renamed = {f: name(f) for f in sorted({f for _, f in folders}) if name(f) != f}
    known = data_set_of(PurePosixPath(path).name for path in paths)
    return Found(entries, renamed=renamed, licence=LICENCES[known] if known else None)


def _entry(path: str, split: str | None, folder: str | None) -> Entry:
    file_name = PurePosixPath(path).name
    refusal = None if folder else ("unknown label", "the image lies in no class folder")
    return Entry(
        path, folder, official_split(file_name) or split, subject_in_name(file_name), refusal=refusal
    )


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
            return split, _class_folder(parts[position + 1 :] or parts[:position][-1:])
    return None, _class_folder(parts)


def _class_folder(parts: Sequence[str]) -> str | None:
    """Of several folders the one that is named like an emotion, such as in ``S001/happy``; else the first."""
    return next((part for part in parts if _is_emotion(part)), parts[0] if parts else None)


def _is_emotion(folder: str) -> bool:
    return is_emotion(class_name(folder))


def _check_classes(where: str, folders: Iterable[tuple[str | None, str]], wishes: Wishes) -> None:
    by_split: dict[str, set[str]] = defaultdict(set)
    for split, folder in folders:
        by_split[split or ""].add(folder)
    for _, names in sorted(by_split.items()):
        wishes.labels.check_labels(where, names, wishes.merge_classes)


LAYOUT = Layout(name="folders", recognises=lambda listing: bool(listing.images), read=read)
