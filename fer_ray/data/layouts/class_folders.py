"""One folder for each class, which may lie in split folders, and these in folders of any name."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes
from fer_ray.data.known_names import data_set_of, subject_in_name
from fer_ray.data.labels import class_name, is_emotion, official_split, split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.data.places import as_text
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
    entries = [_entry(path, *_place(path, common)) for path in paths]
    folders = sorted({entry.label for entry in entries if entry.label is not None})
    if not folders:
        raise DataError(
            where,
            "must hold images in one folder for each class",
            f"{len(paths):,} images, none of them in a class folder",
            "Name a folder with train, validation and test folders or class folders in it, or another source",
        )
    odd = next((folder for folder in folders if as_text(folder) != folder), None)
    if odd is not None:
        raise DataError(where, "the names of class folders must be UTF-8", as_text(odd), "Rename the folder")
    _check_classes(where, entries, wishes)
    name = wishes.labels.name
    renamed = {folder: name(folder) for folder in folders if name(folder) != folder}
    known = data_set_of(PurePosixPath(path).name for path in paths)
    moved = sum(_place(entry.path, common)[0] not in {None, entry.split} for entry in entries)
    notes = {"in the split of their file's name, not their folder's": moved}
    return Found(entries, notes=notes, renamed=renamed, licence=LICENCES[known] if known else None)


def _entry(path: str, split: str | None, folder: str | None) -> Entry:
    file_name = PurePosixPath(path).name
    refusal = None if folder else ("unknown label", "the image lies in no class folder")
    return Entry(
        path, folder, official_split(file_name) or split, subject_in_name(file_name), refusal=refusal
    )


def _common_folders(paths: Sequence[str]) -> int:
    """How many leading folders all images share, but for stray ones in none: wrappers such as ``images/``.

    A split or the last folder is none.
    """
    folders = [parts for path in paths if (parts := PurePosixPath(path).parts[:-1])]
    shortest = min((len(parts) for parts in folders), default=0)
    wrappers = 0
    for same in zip(*folders, strict=False):
        if wrappers >= shortest - 1 or len(set(same)) > 1 or split_name(same[0]):
            break
        wrappers += 1
    return wrappers


def _place(path: str, common: int) -> tuple[str | None, str | None]:
    """The split and the class folder that a path names; of several split folders the innermost."""
    parts = PurePosixPath(path).parts[common:-1]
    splits = [split_name(part) for part in parts]
    position = max((at for at, split in enumerate(splits) if split), default=None)
    if position is None:
        return None, _class_folder(parts)
    outer = [part for part, split in zip(parts[:position], splits, strict=False) if not split]
    # train/happy as a rule; happy/train too.
    return splits[position], _class_folder([*parts[position + 1 :], *reversed(outer)])


def _class_folder(parts: Sequence[str]) -> str | None:
    """Of several folders the one that is named like an emotion, such as in ``S001/happy``; else the first."""
    return next((part for part in parts if _is_emotion(part)), parts[0] if parts else None)


def _is_emotion(folder: str) -> bool:
    return is_emotion(class_name(folder))


def _check_classes(where: str, entries: Iterable[Entry], wishes: Wishes) -> None:
    labels = ((entry.split, entry.label) for entry in entries if entry.label is not None)
    wishes.labels.check_splits(where, labels, wishes.merge_classes)


LAYOUT = Layout(name="folders", recognises=lambda listing: bool(listing.images), read=read)
