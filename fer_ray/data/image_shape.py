"""What every image of a data set is made into: the size that most have, grey unless most show colour."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fer_ray.data.entries import Entry
from fer_ray.data.image_collections import Collection
from fer_ray.data.image_files import (
    Target,
    UnreadableImageError,
    check_bytes,
    is_colour,
    open_image,
    upright_size,
)
from fer_ray.errors import DataError
from fer_ray.pixels import face_square
from fer_ray.progress import Progress

Channels = Literal["auto", "grey", "rgb"]

#: So much of a file tells its image's size, but for formats that keep it at the end.
_HEADER_BYTES = 1 << 16
#: Images decoded to tell whether the source is in colour, spread evenly over it.
_COLOUR_SAMPLE = 256


@dataclass
class Shape:
    """A target, and why it is that.

    Args:
        target: Height, width and channels.
        size_rule, channel_rule: In words, for the report.
    """

    target: Target
    size_rule: str
    channel_rule: str


def decide_shape(collection: Collection, size: int | None, channels: Channels, progress: Progress) -> Shape:
    """Looks at all images' sizes and at the colours of a sample.

    The size is `size` by `size`; without it, that of at least half of the images, which is the images' own where
    all agree. Where they do not, as in faces cut out of pictures, it is a square of the median of their shorter
    sides. The images are grey, unless more than half of the sample shows colour.

    Args:
        collection: The images.
        size: Height and width in pixels, or None.
        channels: ``grey`` or ``rgb`` instead of looking at a sample.
        progress: Told how many images are measured.
    """
    survey = _Survey(collection, sizes=size is None, colours=channels == "auto")
    if size is None or channels == "auto":
        survey.run(progress)
    width, height, size_rule = _size(size, survey.sizes)
    if channels == "auto":
        colour = sum(survey.colour) * 2 > len(survey.colour)
        channel_rule = f"{sum(survey.colour)} of a sample of {len(survey.colour)} show colour"
    else:
        colour, channel_rule = channels == "rgb", "as asked"
    return Shape(Target(height, width, 3 if colour else 1), size_rule, channel_rule)


class _Survey:
    """The sizes of all images, from the beginnings of their files, and whether those of a sample show colour."""

    def __init__(self, collection: Collection, *, sizes: bool, colours: bool) -> None:
        self._collection, self._want_sizes = collection, sizes
        self._step = max(1, collection.total // _COLOUR_SAMPLE) if colours else 0
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.colour: list[bool] = []

    def run(self, progress: Progress) -> None:
        done = 0
        for piece in self._collection.pieces():
            self._look_at(piece, done)
            done += len(piece)
            progress("measuring (images)", done, max(self._collection.total, done))

    def _look_at(self, piece: Sequence[Entry], start: int) -> None:
        sample = {n for n in range(len(piece)) if self._step and (start + n) % self._step == 0}
        unclear: set[int] = set()
        if self._want_sizes:
            beginnings = self._collection.load(piece, _HEADER_BYTES)
            unclear = {n for n, content in enumerate(beginnings) if not self._measure(piece[n], content)}
        whole = sorted(sample | unclear)
        for n, content in zip(whole, self._collection.load([piece[n] for n in whole]), strict=True):
            if n in unclear:
                self._measure(piece[n], content)
            if n in sample:
                self._look_for_colour(content)

    def _measure(self, entry: Entry, content: bytes | OSError) -> bool:
        size = None if isinstance(content, OSError) else upright_size(content)
        if size is None or entry.refusal:
            return bool(entry.refusal)
        if entry.box:
            try:
                _, _, side = face_square(size[1], size[0], entry.box)
            except DataError:
                return True
            size = side, side
        self.sizes[size] += 1
        return True

    def _look_for_colour(self, content: bytes | OSError) -> None:
        with suppress(UnreadableImageError):
            self.colour.append(is_colour(open_image(check_bytes(content))))


def _size(size: int | None, sizes: Counter[tuple[int, int]]) -> tuple[int, int, str]:
    """Width, height and the reason for them."""
    if size:
        return size, size, f"as asked, {size}"
    # A source without one readable image is refused by the writer, with the reasons counted.
    width, height = min(sizes, key=lambda wh: (-sizes[wh], wh), default=(1, 1))
    if 2 * sizes[width, height] >= sizes.total():
        return width, height, "that of most images"
    shorter = np.repeat([min(wh) for wh in sizes], list(sizes.values()))
    side = int(np.median(shorter))
    return side, side, "the median of the shorter sides, which differ"
