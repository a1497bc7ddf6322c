"""CK+, as its makers gave it out: sequences from neutral to the peak of an expression.

``cohn-kanade-images/S005/001/S005_001_00000011.png``; the emotion of a sequence lies in
``Emotion/S005/001/S005_001_00000011_emotion.txt`` as ``3.0000000e+00``, and most sequences have none. The last
three frames of a labelled sequence are taken, as in the copies called CK+48 (981 images in class folders, which are
read as such); frames before them show less and less of it. A face is cut out where
``Landmarks/.../*_landmarks.txt`` says where it is.
"""

import re
from collections import defaultdict
from pathlib import PurePosixPath

from fer_ray.data.entries import Entry, Found, Layout, Listing, Wishes, unlisted, whole
from fer_ray.data.known_names import subject_in_name
from fer_ray.data.label_map import CODES
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.errors import DataError
from fer_ray.pixels import Box

_EMOTION = re.compile(r"s\d{3}_\d{3}_\d{8}_emotion\.txt")
_LANDMARKS = "_landmarks.txt"
_PEAK_FRAMES = 3


def _emotions(listing: Listing) -> list[str]:
    return listing.named(lambda name: bool(_EMOTION.fullmatch(name)))


def read(listing: Listing, wishes: Wishes) -> Found:
    """Reads the emotion of each sequence, and its last frames.

    Raises:
        DataError: If no sequence has one.
    """
    files = _emotions(listing)
    if not files:
        rule = "CK+ must hold the emotions of its sequences, Emotion/S005/001/S005_001_00000011_emotion.txt"
        raise DataError(listing.place.where, rule, "no such files")
    contents = listing.read_small(files, "reading labels (files)")
    codes = {_sequence(path): contents.get(path, b"unreadable") for path in files}
    frames = _peaks(listing, codes)
    landmarks = {
        _name(path).removesuffix(_LANDMARKS): path for path in listing.others if path.endswith(_LANDMARKS)
    }
    wanted = [landmarks[stem] for path in frames if (stem := PurePosixPath(path).stem) in landmarks]
    points = listing.read_small(wanted, "reading landmarks (files)")
    boxes = {path: _box(points.get(landmarks.get(PurePosixPath(path).stem, ""))) for path in frames}
    entries = [_entry(path, codes[_sequence(path)], boxes[path]) for path in frames]
    ignored = unlisted(listing, entries, "frames before a peak or of sequences without an emotion")
    return Found(entries, ignored, [*files, *wanted])


def _peaks(listing: Listing, codes: dict[str, bytes]) -> list[str]:
    """The last frames of each labelled sequence; copies of a frame in other folders are left out."""
    sequences: dict[str, dict[str, str]] = defaultdict(dict)
    for path in listing.images:
        if subject_in_name(_name(path)) and _sequence(path) in codes:
            sequences[_sequence(path)].setdefault(_name(path), path)
    return [
        path for _, frames in sorted(sequences.items()) for _, path in sorted(frames.items())[-_PEAK_FRAMES:]
    ]


def _entry(path: str, content: bytes, box: Box | None) -> Entry:
    text = content.decode(errors="replace").strip()
    try:
        label = CODES["ck-plus"].get(str(whole(text)))
    except ValueError:
        label = None
    refusal = None if label else ("unknown label", repr(text))
    return Entry(path, label, subject=subject_in_name(_name(path)), box=box, refusal=refusal)


def _box(points: bytes | None) -> Box | None:
    """The box around a face's landmarks, lines of x and y."""
    try:
        numbers = [whole(word) for word in (points or b"").split()]
    except ValueError:
        return None
    across, down = numbers[0::2], numbers[1::2]
    if not down:
        return None
    return min(across), min(down), max(across), max(down)


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _sequence(path: str) -> str:
    """``S005_001`` of a frame's or an annotation's name."""
    return "_".join(_name(path).split("_")[:2])


LAYOUT = Layout(
    name="ck-plus",
    recognises=lambda listing: bool(_emotions(listing)),
    read=read,
    licence=LICENCES["ck-plus"],
)
