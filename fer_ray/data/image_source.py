"""Encoded images as a source: decoded, turned upright, cut out and made one shape."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from PIL import Image

from fer_ray.data import checks
from fer_ray.data.entries import Entry, Wishes
from fer_ray.data.image_collections import Collection
from fer_ray.data.image_files import (
    UnreadableImageError,
    check_bytes,
    fit_image,
    is_colour,
    is_grey_format,
    open_turned,
)
from fer_ray.data.image_shape import Channels, decide_shape
from fer_ray.data.schema import PIECE_BYTES, rows_within
from fer_ray.data.sources import ImageBatch, Refusal, SoftLabel
from fer_ray.errors import DataError
from fer_ray.pixels import Pixels, face_square
from fer_ray.progress import Progress, no_progress


class ImageSource:
    """Image files or rows of Parquet files, made one shape.

    Args:
        collection: The images, and what is said about them.
        wishes: Names for their labels.
        size: Height and width in pixels, or None for that of most images.
        channels: ``grey``, ``rgb``, or ``auto``: grey unless most images show colour.
        progress: Told how many images' sizes are known.
    """

    unit = "images"

    def __init__(
        self,
        collection: Collection,
        wishes: Wishes,
        size: int | None = None,
        channels: Channels = "auto",
        progress: Progress = no_progress,
    ) -> None:
        self._collection, self._labels = collection, wishes.labels
        self.name, self.total, self.card = collection.name, max(1, collection.total), collection.card
        self._shape = decide_shape(collection, size, channels, progress)
        target = self._shape.target
        self.image_shape = (target.height, target.width, target.channels)

    def chunks(self) -> Iterator[tuple[Sequence[Entry], Sequence[Refusal]]]:
        """Pieces of the collection, of `PIECE_BYTES` decoded; with the first what is refused before any is read."""
        refused = self._collection.refused
        rows = rows_within(PIECE_BYTES, prod(self.image_shape))
        for piece in self._collection.pieces():
            for start in range(0, len(piece), rows):
                yield piece[start : start + rows], refused
                refused = ()
        if refused:
            yield (), refused

    def decode(self, chunk: tuple[Sequence[Entry], Sequence[Refusal]]) -> ImageBatch:
        """Reads and decodes images."""
        entries, told = chunk
        images = np.empty((len(entries), *self.image_shape), np.uint8)
        taken: list[tuple[Entry, str]] = []
        refused, found = list(told), list[tuple[str, ...]]()
        refusals = [self._refusal(entry) for entry in entries]
        # Whole pictures of thousands that show no emotion are not worth the journey, nor the space.
        contents = self._collection.load([e for e, r in zip(entries, refusals, strict=True) if not r])
        for entry, refusal in zip(entries, refusals, strict=True):
            if refusal:
                refused.append(Refusal(entry.name, *refusal, b""))
                continue
            content = next(contents)
            try:
                images[len(taken)], shown = self._pixels(entry, check_bytes(content))
                taken.append((entry, self._labels.name(entry.label or "")))
                found.append(shown)
            except UnreadableImageError as error:
                kept = b"" if isinstance(content, OSError) else content
                refused.append(Refusal(entry.name, error.reason, error.detail, kept))
        return ImageBatch(
            images[: len(taken)],
            [label for _, label in taken],
            [entry.split for entry, _ in taken],
            [entry.name for entry, _ in taken],
            refused,
            len(entries),
            [entry.subject for entry, _ in taken],
            [self._soft_label(entry) for entry, _ in taken],
            found,
        )

    def finish(self) -> None:
        """Checks that the label map's labels were met."""
        self._labels.check_all_met(self.name)

    def report(self) -> dict[str, Any]:
        """How the images were found and what was done to them."""
        target = self._shape.target
        return {
            **self._collection.report(),
            "size": f"{target.height}x{target.width} ({self._shape.size_rule})",
            "channels": f"{'grey' if target.channels == 1 else 'rgb'} ({self._shape.channel_rule})",
        }

    def _refusal(self, entry: Entry) -> tuple[str, str] | None:
        """Reason and detail where what is said about an image is enough to refuse it."""
        if entry.refusal or entry.label is None:
            return entry.refusal or ("unknown label", "none")
        return self._labels.refusal(entry.label)

    def _soft_label(self, entry: Entry) -> SoftLabel | None:
        """The soft label by class; classes that the label map makes one share their shares."""
        if entry.soft_label is None:
            return None
        shares: dict[str, float] = {}
        for label, share in entry.soft_label.items():
            name = self._labels.name(label)
            shares[name] = shares.get(name, 0) + share
        return shares

    def _pixels(self, entry: Entry, content: bytes) -> tuple[Pixels, tuple[str, ...]]:
        """An image's pixels, and what it showed by `fer_ray.data.checks` names."""
        image, turned = open_turned(content)
        image = _cut_out(image, entry)
        target, shown = self._shape.target, [checks.TURNED] if turned else []
        if image.size != (target.width, target.height):
            shown.append(checks.RESIZED)
        try:
            colour = is_colour(image)
            if target.channels == 1 and not is_grey_format(image):
                shown.append(checks.COLOUR_TO_GREY if colour else checks.GREY_AS_COLOUR)
            if target.channels == 3 and not colour:
                shown.append(checks.GREY_AMONG_COLOUR)
            return fit_image(image, target), tuple(shown)
        except (OSError, ValueError) as error:  # of modes such as CIELAB, which Pillow converts to few others
            raise UnreadableImageError("unreadable", f"{type(error).__name__}: {error}") from error


def _cut_out(image: Image.Image, entry: Entry) -> Image.Image:
    """The square around the face, as `fer_ray.pixels.crop_face` cuts it."""
    if entry.box is None:
        return image
    try:
        x, y, side = face_square(image.height, image.width, entry.box)
    except DataError as error:
        raise UnreadableImageError("box outside the image", error.received) from error
    return image.crop((x, y, x + side, y + side))
