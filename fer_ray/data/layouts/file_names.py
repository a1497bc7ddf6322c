"""JAFFE and KDEF: the name of each file says who shows what."""

from collections.abc import Callable
from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes
from fer_ray.data.known_names import NAMES, data_set_of, subject_in_name
from fer_ray.data.layouts.class_folders import has_emotion_folders
from fer_ray.data.layouts.licences import LICENCES


def _recogniser(name: str) -> Callable[[Listing], bool]:
    """Most images are named so, and do not lie in folders named like emotions, which then decide."""

    def recognises(listing: Listing) -> bool:
        names = (PurePosixPath(path).name for path in listing.images)
        return data_set_of(names) == name and not has_emotion_folders(listing)

    return recognises


def _reader(name: str) -> Callable[[Listing, Wishes], Found]:
    def entry(path: str) -> Entry:
        file_name = PurePosixPath(path).name
        match = NAMES[name].match(file_name)
        if match is None:
            return Entry(path, refusal=("unknown label", "the name is not that of the others"))
        # AF, afraid, is fear; the two letters of each expression are among its known spellings.
        return Entry(path, match["expression"], subject=subject_in_name(file_name))

    return lambda listing, wishes: Found([entry(path) for path in listing.images])


def _layout(name: str) -> Layout:
    return Layout(name=name, recognises=_recogniser(name), read=_reader(name), licence=LICENCES[name])


JAFFE, KDEF = _layout("jaffe"), _layout("kdef")
