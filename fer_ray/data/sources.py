"""What a source of images hands to the importer, whatever file it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fer_ray.pixels import Pixels

#: Shares of the classes in an image's label, by name; they sum to 1.
SoftLabel = Mapping[str, float]


@dataclass(frozen=True)
class Refusal:
    """An image that was not taken.

    Args:
        path: Where it came from: a file's relative path, or a row of a CSV file.
        reason: One of few, counted in the report, such as ``truncated``.
        detail: What was found.
        content: The source's bytes, so that nothing is lost; empty where its label alone was the reason.
    """

    path: str
    reason: str
    detail: str
    content: bytes


@dataclass(frozen=True)
class ImageBatch:
    """Images that were read, and those that could not be.

    Args:
        images: uint8, shape (N, H, W, C), C-contiguous.
        labels: N class names.
        splits: N split names; None where the source does not say.
        paths: N names, unique in the source.
        refused: Of the same piece of the source.
        units: How much of the source's `total` this batch was.
        subjects: N names of the people shown, None where the source does not say; or empty.
        soft_labels: N soft labels, None where the source has none; or empty.
        found: What each image showed, N tuples of `fer_ray.data.checks` names; or empty.
    """

    images: Pixels
    labels: Sequence[str]
    splits: Sequence[str | None]
    paths: Sequence[str]
    refused: Sequence[Refusal]
    units: int
    subjects: Sequence[str | None] = ()
    soft_labels: Sequence[SoftLabel | None] = ()
    found: Sequence[tuple[str, ...]] = ()


class Source(Protocol):
    """A place to read images from; `decode` runs in several threads, all else in one."""

    name: str
    #: What one step of progress is, such as ``images`` or ``MB``.
    unit: str
    #: How many units there are.
    total: int
    image_shape: tuple[int, int, int]
    #: Texts for model cards that are known of this source.
    card: Mapping[str, str]

    def chunks(self) -> Iterator[Any]:
        """Cuts the source into pieces, in order, cheaply."""

    def decode(self, chunk: Any) -> ImageBatch:
        """Turns one piece into pixels; thread-safe."""

    def finish(self) -> None:
        """Checks what only the whole source can show, once all pieces are decoded.

        Raises:
            DataError: If it contradicts itself, or what was asked of it.
        """

    def report(self) -> dict[str, Any]:
        """What was decided about the source, for the import report; complete after the last chunk."""
