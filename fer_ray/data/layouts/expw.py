"""ExpW: ``label.lst`` names the faces in pictures from the web, several in some.

Each line is ``IMAGE FACE TOP LEFT RIGHT BOTTOM CONFIDENCE LABEL``; the box starts with its top, and the labels have
the order of FER2013. Faces are cut out.
"""

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes, missing, unlisted, whole
from fer_ray.data.label_map import CODES
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.errors import DataError

_COLUMNS = 8


def _lists(listing: Listing) -> list[str]:
    return listing.named(lambda name: name == "label.lst")


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads the list of faces.

    Raises:
        DataError: If there is none.
    """
    lists = _lists(listing)
    if not lists:
        raise DataError(listing.place.where, "ExpW must hold label/label.lst", "no such file")
    lines = [line.split() for path in lists for line in listing.text(path).splitlines() if line.strip()]
    entries = [_entry(listing, words) for words in lines]
    return Found(entries, unlisted(listing, entries, "images without a face in the list"), lists)


def _entry(listing: Listing, words: list[str]) -> Entry:
    path = listing.images_by_name.get(words[0])
    if path is None:
        return missing(words[0])
    face = words[1] if len(words) > 1 else ""
    try:
        if len(words) != _COLUMNS:
            raise ValueError(f"{len(words)} columns instead of {_COLUMNS}")
        top, left, right, bottom = (whole(word) for word in words[2:6])
    except ValueError as error:
        return Entry(path, face=face, refusal=("broken annotation", str(error)))
    label = CODES["fer2013"].get(words[7])
    refusal = None if label else ("unknown label", repr(words[7]))
    return Entry(path, label, box=(left, top, right, bottom), face=face, refusal=refusal)


LAYOUT = Layout(
    name="expw",
    recognises=lambda listing: bool(_lists(listing)),
    read=read,
    licence=LICENCES["expw"],
)
