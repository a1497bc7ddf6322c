"""RAF-DB, basic emotions: ``EmoLabel/list_patition_label.txt`` (its own spelling) and aligned faces.

Each line is ``train_00001.jpg 5``; the face lies in ``Image/aligned/train_00001_aligned.jpg``. The split is the
beginning of the name. Mirrors with folders 1 to 7 are class folders with numbers, and need a label map.
"""

from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes, missing, unlisted
from fer_ray.data.label_map import CODES
from fer_ray.data.labels import split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.errors import DataError

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")

_ALIGNED = "_aligned"


def _lists(listing: Listing) -> list[str]:
    return listing.named(lambda name: name in _LISTS)


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads the list of labels.

    Raises:
        DataError: If there is no such list.
    """
    lists = _lists(listing)
    if not lists:
        raise DataError(listing.place.where, f"RAF-DB must hold EmoLabel/{_LISTS[0]}", "no such file")
    lines = [line.split() for path in lists for line in listing.text(path).splitlines() if line.strip()]
    entries = [_entry(listing, words) for words in lines]
    originals = sum(e.path in listing.sizes and _ALIGNED not in PurePosixPath(e.path).stem for e in entries)
    return Found(
        entries,
        unlisted(listing, entries, "images that are not in the list of labels"),
        lists,
        notes={"without an aligned face, taken as they are": originals},
    )


def _entry(listing: Listing, words: list[str]) -> Entry:
    name, code = words[0], words[-1]
    stem, _, suffix = name.rpartition(".")
    images = listing.images_by_name
    path = images.get(f"{stem}{_ALIGNED}.{suffix}") or images.get(name)
    split = split_name(name.partition("_")[0])
    if path is None:
        return missing(name, split)
    label = CODES["raf-db"].get(code)
    refusal = None if label else ("unknown label", repr(" ".join(words[1:])))
    return Entry(path, label, split, refusal=refusal)


LAYOUT = Layout(
    name="raf-db",
    recognises=lambda listing: bool(_lists(listing)),
    read=read,
    licence=LICENCES["raf-db"],
)
