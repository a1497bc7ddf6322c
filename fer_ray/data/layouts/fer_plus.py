"""FER+ in folders: ``FER2013Train/label.csv`` beside the images, and the same for Valid and Test.

Each line is ``fer0032220.png,"(0, 0, 48, 48)",`` and ten counts of votes, without a header.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes, missing, unlisted
from fer_ray.data.labels import split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.data.votes import VOTED, judge
from fer_ray.errors import DataError
from fer_ray.pixels import Box

_BOX = re.compile(r"\(?\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*\)?$")


def _lists(listing: Listing) -> list[str]:
    """The files of votes; ``label.csv`` is a common name, so a row must look like theirs."""
    named = listing.named(lambda name: name == "label.csv")
    return [path for path in named if _is_vote_file(listing.text(path, 200))]


def _is_vote_file(text: str) -> bool:
    row = next(csv.reader(text.splitlines()), [])
    return len(row) == 2 + len(VOTED) and bool(_BOX.match(row[1]))


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads the votes of each folder.

    Raises:
        DataError: If there are none.
    """
    lists = _lists(listing)
    if not lists:
        rule = "FER+ must hold FER2013Train/label.csv, FER2013Valid/label.csv and FER2013Test/label.csv"
        raise DataError(listing.place.where, rule, "no such file with a name, a box and ten votes in a row")
    entries = [entry for path in lists for entry in _entries(listing, path)]
    return Found(entries, unlisted(listing, entries, "images without votes"), lists)


def _entries(listing: Listing, table: str) -> Iterator[Entry]:
    folder = PurePosixPath(table).parent
    split = split_name(re.sub("^fer2013", "", folder.name, flags=re.IGNORECASE))
    images = set(listing.images)
    for row in csv.reader(listing.text(table).splitlines()):
        if not row:
            continue
        path = str(folder / row[0])
        if path not in images:
            yield missing(path, split)
            continue
        verdict = judge(row[2:])
        box = _box(row[1]) if len(row) > 1 else None
        yield Entry(
            path, verdict.label, split, box=box, soft_label=verdict.soft_label, refusal=verdict.refusal
        )


def _box(text: str) -> Box | None:
    match = _BOX.match(text)
    if match is None:
        return None
    left, top, right, bottom = map(int, match.groups())
    return left, top, right, bottom


LAYOUT = Layout(
    name="fer-plus",
    recognises=lambda listing: bool(_lists(listing)),
    read=read,
    licence=LICENCES["fer-plus"],
)
