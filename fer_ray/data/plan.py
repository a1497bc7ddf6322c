"""Where each image of a source goes: its class, its split, and whether it is kept."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fer_ray.data.candidates import Candidates
from fer_ray.data.duplicates import (
    Duplicates,
    Integers,
    Mask,
    evaluation_copies,
    find_duplicates,
    group_identical,
)
from fer_ray.data.labels import class_key, class_order
from fer_ray.data.options import WriteOptions
from fer_ray.data.schema import SPLITS
from fer_ray.data.soft_labels import Shares, to_array
from fer_ray.data.splits import TRAIN, UNKNOWN, complete_splits
from fer_ray.data.subjects import NOBODY, join_subjects
from fer_ray.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where each of N candidates goes.

    Args:
        classes: K names.
        labels: Positions in `classes`, shape (N,).
        splits: Positions in `SPLITS`, shape (N,).
        soft_labels: Shape (N, K), or None if the source has none.
        kept: Shape (N,).
        duplicates: What was found.
        straddling: Subjects that are shown in more than one split.
        unsplit: Images without a split in a source that has some.
        origin: Where the splits come from, in words.
    """

    classes: tuple[str, ...]
    labels: Integers
    splits: Integers
    soft_labels: Shares | None
    kept: Mask
    duplicates: Duplicates
    straddling: int
    unsplit: int
    origin: str

    def counts(self) -> dict[str, dict[str, int]]:
        """Kept images by split and class."""
        table = np.zeros((len(SPLITS), len(self.classes)), np.int64)
        np.add.at(table, (self.splits[self.kept], self.labels[self.kept]), 1)
        return {
            split: dict(zip(self.classes, row, strict=True))
            for split, row in zip(SPLITS, table.tolist(), strict=True)
        }


def make_plan(name: str, candidates: Candidates, refused: dict[str, int], options: WriteOptions) -> Plan:
    """Decides where the candidates go.

    Args:
        name: Of the source, for errors.
        candidates: The images.
        refused: Images that could not be read, by reason.
        options: Classes, splits, duplicates.

    Raises:
        DataError: If there are too few images or classes, or none to cut into splits.
    """
    classes = _classes(name, candidates, refused, options)
    recoded = np.array([classes.index(label) for label in candidates.names], np.int64)
    labels, soft_labels = recoded[candidates.labels], None
    if any(candidates.soft_labels):
        soft_labels = to_array(candidates.soft_labels, labels, classes)
        labels = soft_labels.argmax(axis=1)
    groups, subjects = group_identical(candidates.digests), candidates.subjects
    known = subjects != NOBODY
    if options.group_pattern and not known.any():
        raise DataError(
            name, "--group-from must find a subject in the images' paths", options.group_from or ""
        )
    splits, origin = complete_splits(
        candidates.splits,
        labels,
        groups,
        units=join_subjects(groups, subjects) if known.any() else None,
        shares=options.split,
        seed=options.seed,
    )
    copies = evaluation_copies(groups, splits)
    kept = np.ones_like(copies) if options.keep_duplicates else ~copies
    if not (kept & (splits == TRAIN)).any():
        rule = "must hold images to train on that are no copies of evaluation images"
        raise DataError(name, rule, f"{int((splits == TRAIN).sum()):,} images, all of them copies")
    return Plan(
        classes=classes,
        labels=labels,
        splits=splits,
        soft_labels=soft_labels,
        kept=kept,
        duplicates=find_duplicates(groups, splits, labels),
        straddling=_straddling(subjects[known], splits[known]),
        unsplit=0 if options.split else _unsplit(candidates.splits),
        origin=origin,
    )


def _classes(
    name: str, candidates: Candidates, refused: dict[str, int], options: WriteOptions
) -> tuple[str, ...]:
    found = {**refused, **{f"of the class {label}, left out": n for label, n in candidates.left_out.items()}}
    if not candidates.digests:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.items()) or "no images"
        raise DataError(name, "must hold images that can be read", reasons)
    shown = set(map(class_key, candidates.names))
    absent = ", ".join(name for name in options.classes if class_key(name) not in shown)
    if absent:
        others = ", ".join(class_order({*candidates.names, *candidates.left_out}))
        raise DataError(
            name, f"must hold images of the classes that were asked for: {absent}", f"only {others}"
        )
    classes = class_order(candidates.names)
    if len(classes) < 2:
        raise DataError(name, "must hold images of at least two classes", ", ".join(classes))
    return classes


def _unsplit(splits: Integers) -> int:
    """Images without a split, unless all are."""
    without = int((splits == UNKNOWN).sum())
    return without if without < len(splits) else 0


def _straddling(subjects: Integers, splits: Integers) -> int:
    places = Counter(subject for subject, _ in set(zip(subjects.tolist(), splits.tolist(), strict=True)))
    return sum(count > 1 for count in places.values())
