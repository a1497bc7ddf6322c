"""Encoded images with what is said about them, piece by piece: files in a place, or rows of Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from fer_ray.data.entries import Entry, Found, Layout, Listing, ignored_files
from fer_ray.data.image_files import MOST_BYTES
from fer_ray.data.places import read_each
from fer_ray.data.sources import Refusal

_FILES_PER_PIECE = 256


class Collection(Protocol):
    """What `ImageSource` makes pixels of; `pieces` runs in one thread, `load` in several."""

    name: str
    #: How many images there are.
    total: int
    #: Texts for model cards that are known of these images.
    card: Mapping[str, str]
    #: Files that are no images of the data set and must be told.
    refused: Sequence[Refusal]

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """Cuts the images into pieces, in order."""

    def load(self, entries: Sequence[Entry], limit: int = -1) -> Iterator[bytes | OSError]:
        """Reads images, or at least the first `limit` bytes of each; what cannot be read comes as its error."""

    def report(self) -> dict[str, Any]:
        """How the images were found."""


class FileCollection:
    """Image files, found by a layout.

    Args:
        layout: How they lie.
        listing: All files of their place.
        found: What the layout found.
    """

    def __init__(self, layout: Layout, listing: Listing, found: Found) -> None:
        self._layout, self._found = layout, found
        self._place, self._sizes = listing.place, listing.sizes
        self._ignored = {**ignored_files(listing.others, found.used), **found.ignored}
        self.name, self.total = listing.place.name, len(found.entries)
        licence = layout.licence or found.licence
        self.card: Mapping[str, str] = {"license": licence} if licence else {}
        self.refused = listing.place.refused

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """Lists of files, of no more bytes together than one large file may have."""
        piece: list[Entry] = []
        size = 0
        for entry in self._found.entries:
            more = self._sizes.get(entry.path, 0)
            if piece and (len(piece) == _FILES_PER_PIECE or size + more > MOST_BYTES):
                yield piece
                piece, size = [], 0
            piece.append(entry)
            size += more
        if piece:
            yield piece

    def load(self, entries: Sequence[Entry], limit: int = -1) -> Iterator[bytes | OSError]:
        """Reads files; those that are not there, or are larger than any image, are not asked for."""
        sizes = [self._sizes.get(entry.path) for entry in entries]
        wanted = (e.path for e, size in zip(entries, sizes, strict=True) if _is_read(size))
        contents = read_each(self._place, wanted, limit)
        for size in sizes:
            yield (
                next(contents)
                if _is_read(size)
                else OSError(f"{size or 0:,} bytes; at most {MOST_BYTES:,} are read")
            )

    def report(self) -> dict[str, Any]:
        """How the folders were read."""
        return {
            "kind": self._layout.name,
            "class_folders": dict(self._found.renamed),
            "ignored_files": self._ignored,
            "notes": {what: count for what, count in self._found.notes.items() if count},
        }


def _is_read(size: int | None) -> bool:
    return size is not None and size <= MOST_BYTES
