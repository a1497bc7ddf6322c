"""AffectNet, in the two shapes that its makers gave out.

``train_set/images/0.jpg`` with ``train_set/annotations/0_exp.npy``, and ``val_set`` alike; or
``Manually_Annotated_Images/FOLDER/HASH.jpg`` with ``training.csv`` and ``validation.csv``, which give each face's
box and of which the second came without a header. Codes 0 to 7 are emotions, 8 none, 9 uncertain, 10 no face.
Folders 0 to 10 are class folders with numbers, and need a label map.
"""

import csv
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import BadZipFile

import numpy as np

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes, missing, unlisted, whole
from fer_ray.data.label_map import CODES, NO_EMOTION
from fer_ray.data.labels import split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.errors import DataError
from fer_ray.pixels import Box

_EXPRESSION = "_exp.npy"
_CSV_FILES = {"training.csv": "train", "validation.csv": "validation"}
_CSV_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)


def _expressions(listing: Listing) -> list[str]:
    return listing.named(lambda name: name.endswith(_EXPRESSION))


def _csv_files(listing: Listing) -> list[str]:
    """The files of faces; ``training.csv`` is a common name, so the first column must be theirs."""
    named = listing.named(lambda name: name in _CSV_FILES)
    return named if any(listing.text(path, 100).startswith(_CSV_COLUMNS[0]) for path in named) else []


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads the annotation files.

    Raises:
        DataError: If there are none.
    """
    arrays, tables = _expressions(listing), _csv_files(listing)
    if arrays:
        entries = list(_from_arrays(listing, arrays))
    elif tables:
        entries = [entry for path in tables for entry in _from_csv(listing, path)]
    else:
        rule = "AffectNet must hold annotations/ID_exp.npy, or training.csv with its columns"
        raise DataError(listing.place.where, rule, "no such files")
    return Found(entries, unlisted(listing, entries, "images without annotations"), [*arrays, *tables])


def _from_arrays(listing: Listing, arrays: list[str]) -> Iterator[Entry]:
    contents = listing.read_small(arrays, "reading labels (files)")
    images = {str(PurePosixPath(path).with_suffix("")): path for path in listing.images}
    for array in arrays:
        folder = PurePosixPath(array).parent.parent
        stem = PurePosixPath(array).name.removesuffix(_EXPRESSION)
        split = next((s for part in reversed(folder.parts) if (s := split_name(part))), None)
        path = images.get(str(folder / "images" / stem))
        yield _entry(path, _code(contents.get(array)), split) if path else missing(array, split)


def _code(content: bytes | None) -> str:
    """The code in a NumPy file of one number or its digits; what else it holds is no code."""
    try:
        return str(whole(np.load(BytesIO(content or b""), allow_pickle=False).item()))
    except (ValueError, OSError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        return f"{type(error).__name__}: {error}"


def _from_csv(listing: Listing, table: str) -> Iterator[Entry]:
    split = _CSV_FILES[PurePosixPath(table).name.lower()]
    images = {"/".join(PurePosixPath(path).parts[-2:]): path for path in listing.images}
    for cells in csv.reader(listing.text(table).splitlines()):
        row = dict(zip(_CSV_COLUMNS, cells, strict=False))
        name = row.get(_CSV_COLUMNS[0], "")
        if name == _CSV_COLUMNS[0] or not name:
            continue
        path = images.get("/".join(PurePosixPath(name).parts[-2:]))
        yield _entry(path, row.get("expression", ""), split, _box(row)) if path else missing(name, split)


def _box(row: Mapping[str, str]) -> Box | None:
    """The face's box; None where the file has ``NULL``, as for images without a face."""
    try:
        left, top, width, height = (whole(row[name]) for name in _CSV_COLUMNS[1:5])
    except (KeyError, ValueError):
        return None
    return left, top, left + width, top + height


def _entry(path: str, code: str, split: str | None, box: Box | None = None) -> Entry:
    refusal = None
    if code in NO_EMOTION["affectnet"]:
        refusal = ("no emotion", NO_EMOTION["affectnet"][code])
    elif code not in CODES["affectnet"]:
        refusal = ("unknown label", repr(code))
    return Entry(path, CODES["affectnet"].get(code), split, box=box, refusal=refusal)


LAYOUT = Layout(
    name="affectnet",
    recognises=lambda listing: bool(_expressions(listing) or _csv_files(listing)),
    read=read,
    licence=LICENCES["affectnet"],
)
