"""Several sources as one, such as train.csv, val.csv and test.csv."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fer_ray.data.sources import ImageBatch, Source
from fer_ray.errors import DataError


class JoinedSource:
    """One source after another.

    Args:
        name: Of them together.
        parts: At least one, by what the report calls them.

    Raises:
        DataError: If their images differ in shape.
    """

    def __init__(self, name: str, parts: Mapping[str, Source]) -> None:
        self.name, self._parts = name, parts
        first = next(iter(parts.values()))
        self.unit, self.image_shape, self.card = first.unit, first.image_shape, first.card
        self.total = sum(part.total for part in parts.values())
        shapes = {each: part.image_shape for each, part in parts.items()}
        if len(set(shapes.values())) > 1:
            raise DataError(name, "all files must have images of one size", str(shapes), "Add --size")

    def chunks(self) -> Iterator[tuple[Source, Any]]:
        """The pieces of each part."""
        for part in self._parts.values():
            for chunk in part.chunks():
                yield part, chunk

    def decode(self, chunk: tuple[Source, Any]) -> ImageBatch:
        """Lets the piece's own source decode it."""
        part, piece = chunk
        return part.decode(piece)

    def finish(self) -> None:
        """Finishes each part; they share a label map, which must be met by all together."""
        for part in self._parts.values():
            part.finish()

    def report(self) -> dict[str, Any]:
        """The report of the first, and the names of all."""
        parts: Sequence[Source] = list(self._parts.values())
        return {**parts[0].report(), "files": list(self._parts)}
