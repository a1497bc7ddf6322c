"""Image files of a source, and what the source says about each."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from fer_ray.data.label_map import LabelMap
from fer_ray.data.places import Place, as_text, check_fetched, read_each
from fer_ray.data.sources import SoftLabel
from fer_ray.errors import DataError
from fer_ray.pixels import Box
from fer_ray.progress import Progress, no_progress

_IMAGE_SUFFIXES = frozenset(
    f".{kind}" for kind in ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "avif")
)
#: AffectNet's table, with the landmarks of 400,000 faces, is the largest and takes 300 MB.
_ANNOTATION_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of a source, and what the source says about it; None where it says nothing.

    Args:
        path: Of the file in its place.
        label: As the source has it: a class, or another spelling of one.
        split: A name in `SPLITS`.
        subject: The person shown.
        box: The face in the image, in pixels; None for the whole image.
        soft_label: Shares of the classes.
        face: Tells several faces of one file apart.
        refusal: Reason and detail if the image is not to be taken, whatever its pixels.
        content: The encoded image, where it comes with what is said about it.
    """

    path: str
    label: str | None = None
    split: str | None = None
    subject: str | None = None
    box: Box | None = None
    soft_label: SoftLabel | None = None
    face: str = ""
    refusal: tuple[str, str] | None = None
    content: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Unique in the source, but for file names that are no UTF-8, of which the odd bytes are replaced."""
        path = as_text(self.path)
        return f"{path}#{self.face}" if self.face else path


class Listing:
    """The files of a place, told apart by their suffixes.

    Args:
        place: Where they lie.
        progress: Told how far the reading of annotations is.
    """

    def __init__(self, place: Place, progress: Progress = no_progress) -> None:
        self.place, self.progress = place, progress
        self.sizes = place.files()
        self.images = [path for path in self.sizes if _suffix(path) in _IMAGE_SUFFIXES]
        self.others = [path for path in self.sizes if _suffix(path) not in _IMAGE_SUFFIXES]

    @cached_property
    def images_by_name(self) -> Mapping[str, str]:
        """The images' paths by file name; of the same name in several folders, the last."""
        return {PurePosixPath(path).name: path for path in self.images}

    def named(self, test: Callable[[str], bool]) -> list[str]:
        """The files that are no images and whose name, in lower case, passes a test."""
        return [path for path in self.others if test(PurePosixPath(path).name.lower())]

    def text(self, path: str, limit: int = _ANNOTATION_BYTES) -> str:
        """Reads an annotation file, or its beginning.

        Raises:
            DataError: If it cannot be read, or was left behind by Git LFS.
        """
        where = f"{self.place.where}: {path}"
        try:
            content = self.place.read(path, limit)
        except OSError as error:
            raise DataError(where, "the labels must be readable", str(error)) from error
        return check_fetched(content, where).decode("utf-8-sig", errors="replace")

    def read_small(self, paths: Sequence[str], stage: str) -> dict[str, bytes]:
        """Reads many small annotation files; those that cannot be read are missing.

        Raises:
            DataError: If Git LFS left one behind: then it left all.
        """
        contents: dict[str, bytes] = {}
        for number, (path, content) in enumerate(
            zip(paths, read_each(self.place, paths, 1 << 16), strict=True), 1
        ):
            if isinstance(content, bytes):
                contents[path] = check_fetched(content, f"{self.place.where}: {path}")
            if number % 256 == 0 or number == len(paths):
                self.progress(stage, number, len(paths))
        return contents


@dataclass(frozen=True)
class Found:
    """What a layout found.

    Args:
        entries: The images, in an order that does not depend on the machine.
        ignored: Images and other files that are there and were not meant, counted by what they are.
        used: Files that were read for their annotations.
        notes: Images of which a reader should know something, counted by what it is.
        renamed: Folders whose name is another spelling of their class.
        licence: Of the data set that the files' names are of, where the layout does not tell.
    """

    entries: Sequence[Entry]
    ignored: Mapping[str, int] = field(default_factory=dict)
    used: Iterable[str] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user said about the labels of a source.

    Args:
        labels: Names for labels.
        merge_classes: Make one class of folders or labels that are spellings of one emotion.
    """

    labels: LabelMap = field(default_factory=LabelMap)
    merge_classes: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a data set of image files lies in its folders.

    Args:
        name: For `--format`.
        recognises: Whether files are, beyond doubt, of this data set.
        read: Finds the images, and what is said about them.
        licence: What a model card must say about the use of the images.
    """

    name: str
    recognises: Callable[[Listing], bool]
    read: Callable[[Listing, Wishes], Found]
    licence: str | None = None


def whole(number: str | bytes | float) -> int:
    """A number of an annotation, rounded.

    Raises:
        ValueError: If it is none, or not finite.
    """
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number!r} is not finite")
    return round(value)


def ignored_files(paths: Iterable[str], used: Iterable[str] = ()) -> dict[str, int]:
    """Counts files by suffix, but for those that were read."""
    read = set(used)
    counts = Counter(_suffix(path) or "without a suffix" for path in paths if path not in read)
    return dict(sorted(counts.items()))


def unlisted(listing: Listing, entries: Iterable[Entry], what: str) -> dict[str, int]:
    """Counts the images that no entry is of."""
    rest = len(set(listing.images) - {entry.path for entry in entries})
    return {what: rest} if rest else {}


def missing(path: str, split: str | None = None) -> Entry:
    """An image that annotations name and that is not there."""
    return Entry(path, split=split, refusal=("missing file", "named by the annotations, not there"))


def _suffix(path: str) -> str:
    return as_text(PurePosixPath(path).suffix.lower())
