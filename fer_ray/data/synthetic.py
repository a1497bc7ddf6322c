"""Drawn faces with the seven emotions, for demonstrations, tests and machines without a data set.

Deterministic by seed: image i depends on the seed and the size alone, not on how many are drawn or in what pieces.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_ray.data.action_units import DRAWS, intensities
from fer_ray.data.dataset import Dataset
from fer_ray.data.face_drawing import RANGES, draw
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.data.schema import SPLITS
from fer_ray.data.sources import ImageBatch
from fer_ray.data.writer import write_dataset
from fer_ray.errors import DataError
from fer_ray.filesystems import name_of
from fer_ray.pixels import Pixels
from fer_ray.progress import Progress, no_progress

Labels = NDArray[np.int64]

#: So many faces, because their planes then stay in a processor's second-level cache, and below the size from which
#: the C library fetches fresh pages for each array.
_PIECE = 16
_MINIMUM_SIZE = 16
#: Of each ten images in a row: eight to train on, one to choose on, one to report.
_SPLIT_OF_TEN = (*[SPLITS[0]] * 8, SPLITS[1], SPLITS[2])
_CARD: Mapping[str, str] = {
    "description": "Grey faces drawn by fer_ray from facial action units, with seven emotions.",
    "license": "Made by a program; free to use.",
    "caveats": "Drawings, not photographs: accuracies say nothing about real faces.",
}


def draw_faces(n: int, *, seed: int, size: int = 48) -> tuple[Pixels, Labels]:
    """Draws `n` grey faces.

    Args:
        n: At least 1.
        seed: At least 0; the first k faces of a longer drawing are those of a shorter one.
        size: Height and width in pixels, at least 16.

    Returns:
        Images, uint8 (n, size, size, 1); labels, int64 (n,), positions in `EMOTIONS`.

    Raises:
        DataError: If an argument is out of range.
    """
    pieces = list(iter_faces(n, seed=seed, size=size))
    return np.concatenate([images for images, _ in pieces]), np.concatenate([labels for _, labels in pieces])


def iter_faces(n: int, *, seed: int, size: int = 48, piece: int = _PIECE) -> Iterator[tuple[Pixels, Labels]]:
    """Draws like `draw_faces`, `piece` images at a time."""
    for name, value, least in (("images", n, 1), ("size", size, _MINIMUM_SIZE), ("seed", seed, 0)):
        if value < least:
            raise DataError(name, f"must be at least {least}", str(value))
    shapes, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    for start in range(0, n, piece):
        count = min(piece, n - start)
        uniform = shapes.random((count, 1 + DRAWS + len(RANGES))).astype(np.float32)
        yield _draw_piece(uniform, noise, size)


def _draw_piece(uniform: NDArray[np.float32], noise: np.random.Generator, size: int) -> tuple[Pixels, Labels]:
    # float32 rounds the largest of the uniform numbers up to 1, which is no label.
    labels = np.minimum(uniform[:, 0] * len(EMOTIONS), len(EMOTIONS) - 1).astype(np.int64)
    units = intensities(labels, uniform[:, 1 : 1 + DRAWS])
    columns = uniform[:, 1 + DRAWS :, None, None].swapaxes(0, 1)
    measures = {
        name: low + np.float32(high - low) * column
        for (name, (low, high)), column in zip(RANGES.items(), columns, strict=True)
    }
    image = draw(measures, units, size)
    image += measures["noise"] * noise.standard_normal(image.shape, np.float32)
    image *= 255
    np.clip(image, 0, 255, out=image)
    return np.rint(image).astype(np.uint8)[..., None], labels


class _DrawnFaces:
    """Drawn faces as a `Source`."""

    name, unit = "drawn faces", "images"

    def __init__(self, images: int, size: int, seed: int) -> None:
        self.total, self._size, self._seed = images, size, seed
        self.image_shape = (size, size, 1)
        self.card = _CARD

    def chunks(self) -> Iterator[tuple[int, Pixels, Labels]]:
        start = 0
        for images, labels in iter_faces(self.total, seed=self._seed, size=self._size, piece=256):
            yield start, images, labels
            start += len(labels)

    def decode(self, chunk: tuple[int, Pixels, Labels]) -> ImageBatch:
        start, images, labels = chunk
        numbers = range(start, start + len(labels))
        return ImageBatch(
            images,
            [EMOTIONS[label] for label in labels],
            [_SPLIT_OF_TEN[number % 10] for number in numbers],
            [f"{number:07d}.png" for number in numbers],
            [],
            len(labels),
        )

    def finish(self) -> None:
        pass

    def report(self) -> dict[str, Any]:
        return {"kind": "synthetic", "seed": self._seed, "size": self._size}


def write_synthetic(
    out: str | Path,
    *,
    images: int = 7000,
    size: int = 48,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Dataset:
    """Draws faces and writes them as a data set, split 80/10/10.

    Raises:
        DataError: If an argument is out of range, or `out` exists and `overwrite` is not given.
    """
    source = _DrawnFaces(images, size, seed)
    options = WriteOptions(overwrite=overwrite)
    return write_dataset(source, out, name=name_of(out), options=options, progress=progress)
