"""What the pixels of a data set say: brightness, mean images, blank images, and images to be shown."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_ray.data.checks import find_faceless
from fer_ray.data.dataset import Dataset
from fer_ray.data.duplicates import Integers, Mask
from fer_ray.data.images import decode_png_into
from fer_ray.data.schema import SPLITS, rows_within
from fer_ray.data.shown import Conflict, Face
from fer_ray.errors import DataError
from fer_ray.pixels import Pixels
from fer_ray.progress import Progress, no_progress

Floats = NDArray[np.float64]

#: So many images of a split are measured at most, drawn at random; all of FER2013's 28 thousand are.
MOST_MEASURED = 30_000
#: So many classes, conflicts and blank images of a split are shown at most.
MOST_CLASSES, MOST_CONFLICTS, MOST_BLANK = 40, 60, 12
#: Pixel values decoded at a time, to bound memory.
_PIECE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class SplitSurvey:
    """What was seen of one split.

    Args:
        images: How many it holds.
        brightness: Mean of each measured image's pixels, 0 to 255, float64 (M,).
        contrast: Their standard deviation, float64 (M,).
        samples: Images per class, in the split's order; classes without images have none.
        blank_images: How many of the measured images can show no face, as `fer_ray.data.checks` judges.
        blank: Some of them.
        contested: Images by path, of those asked for.
        sums: Of each class's measured images, float64 (K, H, W, C).
        measured: How many of each class were measured, int64 (K,).
    """

    images: int
    brightness: Floats
    contrast: Floats
    samples: dict[str, list[Face]]
    blank_images: int
    blank: list[Face]
    contested: dict[str, Pixels]
    sums: Floats
    measured: Integers


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was seen of a data set.

    Args:
        classes: Those that are shown: all, or the `MOST_CLASSES` largest.
        splits: By name.
        conflicts: The first `MOST_CONFLICTS`.
    """

    classes: tuple[str, ...]
    splits: dict[str, SplitSurvey]
    conflicts: list[Conflict]

    def originals(self) -> list[Face]:
        """The first training sample of each shown class that has one."""
        return [faces[0] for faces in self.splits["train"].samples.values() if faces]

    def mean_images(self) -> dict[str, Pixels]:
        """The mean of the measured training images of each class that has any, uint8 (H, W, C)."""
        train = self.splits["train"]
        return {
            name: np.rint(total / n).astype(np.uint8)
            for name, total, n in zip(self.classes, train.sums, train.measured.tolist(), strict=True)
            if n
        }


def survey(
    data: Dataset,
    *,
    images: int = 6,
    seed: int = 0,
    progress: Progress = no_progress,
    most: int = MOST_MEASURED,
) -> Survey:
    """Reads each split once.

    Args:
        data: The data set.
        images: Samples per class and split.
        seed: Of the samples, and of what is measured of a split that is too large.
        progress: Told how many images have been passed.
        most: Images of a split that are measured.

    Raises:
        DataError: If a split file is broken.
    """
    classes = shown_classes(data)
    groups = data.report["duplicates"]["label_conflicts"][:MOST_CONFLICTS]
    # Copies are identical, so one that was kept stands for its group.
    kept = [next(copy for copy in group if copy["kept"]) for group in groups]
    splits = {}
    for number, split in enumerate(SPLITS):
        wanted = {copy["path"] for copy in kept if copy["split"] == split}
        generator = np.random.default_rng((seed, number))
        splits[split] = _SplitReader(data, split, classes, wanted).read(images, most, generator, progress)
    conflicts = [
        Conflict(image=splits[copy["split"]].contested[copy["path"]], copies=group)
        for copy, group in zip(kept, groups, strict=True)
        if copy["path"] in splits[copy["split"]].contested
    ]
    return Survey(classes=classes, splits=splits, conflicts=conflicts)


def shown_classes(data: Dataset) -> tuple[str, ...]:
    """All classes, or the `MOST_CLASSES` with most training images, in the data set's order."""
    by_size = sorted(data.classes, key=lambda name: -data.counts["train"][name])
    chosen = set(by_size[:MOST_CLASSES])
    return tuple(name for name in data.classes if name in chosen)


class _SplitReader:
    """One pass over a split's file."""

    def __init__(self, data: Dataset, split: str, classes: Sequence[str], wanted: Collection[str]) -> None:
        self.data, self.split, self.wanted = data, split, wanted
        self.labels = self._labels()
        #: Of each label, its place among the shown classes, or -1.
        self.places = np.array([classes.index(c) if c in classes else -1 for c in data.classes], np.int64)
        self.classes = classes
        self.found: dict[int, Face] = {}
        self.blank_images, self.blank = 0, list[Face]()
        self.contested: dict[str, Pixels] = {}
        self.sums = np.zeros((len(classes), *data.image_shape))
        self.measured = np.zeros(len(classes), np.int64)

    def read(self, images: int, most: int, generator: np.random.Generator, progress: Progress) -> SplitSurvey:
        """Measures and collects; `images` samples a class, at most `most` images measured."""
        total = len(self.labels)
        samples = self._draw_samples(images, generator)
        sampled, measured = np.zeros(total, np.bool_), np.ones(total, np.bool_)
        sampled[[row for rows in samples.values() for row in rows]] = True
        if total > most:
            measured[:] = False
            measured[generator.choice(total, most, replace=False)] = True
        moments = [np.zeros((2, 0))]
        for rows, contents, paths in self._batches():
            moments.append(self._take(rows, contents, paths, measured, sampled))
            progress(f"looking at {self.split} (images)", int(rows[-1]) + 1, total)
        brightness, contrast = np.concatenate(moments, axis=1)
        return SplitSurvey(
            images=total,
            brightness=brightness,
            contrast=contrast,
            samples={name: [self.found[row] for row in rows] for name, rows in samples.items()},
            blank_images=self.blank_images,
            blank=self.blank,
            contested=self.contested,
            sums=self.sums,
            measured=self.measured,
        )

    def _labels(self) -> Integers:
        try:
            with self.data.open_split(self.split) as file:
                labels: Integers = file.read(["label"]).column("label").to_numpy()
        except (OSError, KeyError, ValueError) as error:
            raise self._broken(str(error)) from error
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.data.classes):
            raise self._broken(f"labels from {labels.min()} to {labels.max()}")
        return labels

    def _draw_samples(self, images: int, generator: np.random.Generator) -> dict[str, list[int]]:
        drawn = {}
        for name in self.classes:
            rows = np.flatnonzero(self.labels == self.data.classes.index(name))
            chosen = generator.choice(rows, min(images, len(rows)), replace=False) if len(rows) else rows
            drawn[name] = sorted(chosen.tolist())
        return drawn

    def _batches(self) -> Iterator[tuple[Integers, pa.Array, list[str]]]:
        """Row numbers, encoded images and paths, piece by piece."""
        size = rows_within(_PIECE, prod(self.data.image_shape))
        start = 0
        try:
            with self.data.open_split(self.split) as file:
                for batch in file.iter_batches(size, columns=["image"]):
                    images = batch.column("image")
                    rows = np.arange(start, start + batch.num_rows)
                    yield rows, images.field("bytes"), images.field("path").to_pylist()
                    start += batch.num_rows
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise self._broken(str(error)) from error

    def _take(
        self, rows: Integers, contents: pa.Array, paths: list[str], measured: Mask, sampled: Mask
    ) -> Floats:
        """Decodes what is needed of a batch; returns brightness and contrast of what is measured, (2, M)."""
        contested = np.array([path in self.wanted for path in paths])
        needed = np.flatnonzero(measured[rows] | sampled[rows] | contested)
        pixels = self._decode(contents.take(pa.array(needed)).to_pylist())
        counted = measured[rows[needed]]
        flat = pixels[counted].reshape(int(counted.sum()), -1)
        moments = np.stack([flat.mean(axis=1), flat.std(axis=1)])
        faceless = np.logical_or(*find_faceless(pixels[counted])) if counted.any() else counted[counted]
        self.blank_images += int(faceless.sum())
        blank = set(rows[needed][counted][faceless].tolist())
        for place, image in zip(needed.tolist(), pixels, strict=True):
            self._keep(int(rows[place]), image, paths[place], bool(sampled[rows[place]]), blank)
        self._add_to_sums(pixels[counted], self.places[self.labels[rows[needed][counted]]])
        return moments

    def _decode(self, contents: Sequence[bytes]) -> Pixels:
        pixels = np.empty((len(contents), *self.data.image_shape), np.uint8)
        for target, content in zip(pixels, contents, strict=True):
            try:
                decode_png_into(target, content)
            except (DataError, TypeError) as error:
                raise self._broken(str(error)) from error
        return pixels

    def _keep(self, row: int, image: Pixels, path: str, sampled: bool, blank: Collection[int]) -> None:
        if path in self.wanted:
            self.contested[path] = image.copy()
        if not sampled and row not in blank:
            return
        face = Face(
            image=image.copy(), path=path, split=self.split, label=self.data.classes[self.labels[row]]
        )
        if sampled:
            self.found[row] = face
        if row in blank and len(self.blank) < MOST_BLANK:
            self.blank.append(face)

    def _add_to_sums(self, pixels: Pixels, places: Integers) -> None:
        for place in np.unique(places[places >= 0]).tolist():
            chosen = pixels[places == place]
            self.sums[place] += chosen.sum(axis=0, dtype=np.float64)
            self.measured[place] += len(chosen)

    def _broken(self, reason: str) -> DataError:
        return self.data.broken(self.split, reason)
