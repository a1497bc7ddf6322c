"""Splits that a source lacks: drawn by class, seeded, copies of an image kept together."""

import numpy as np

from fer_ray.data.duplicates import Integers
from fer_ray.data.schema import SPLITS
from fer_ray.errors import DataError

UNKNOWN = -1
TRAIN, VALIDATION, TEST = range(len(SPLITS))


def complete_splits(
    splits: Integers, labels: Integers, groups: Integers, *, fraction: float, seed: int
) -> tuple[Integers, str]:
    """Gives every image a split, and every split images.

    A source without splits is cut at random; a missing validation or test split is taken out of training.
    Images without a split in a source that has some go to training.

    Args:
        splits: Positions in `SPLITS` or `UNKNOWN`, shape (N,).
        labels: Integer labels, shape (N,).
        groups: Equal numbers for identical images, which then get the same split.
        fraction: Of the images cut, for each split that is made; 0 to 0.5, both exclusive.
        seed: Of the random cut.

    Returns:
        The splits, and one sentence that says where they come from.

    Raises:
        DataError: If no image is left for training, or a class has too few images to be cut.
    """
    splits = splits.copy()
    known = np.unique(splits[splits != UNKNOWN])
    splits[splits == UNKNOWN] = TRAIN
    missing = [split for split in (TEST, VALIDATION) if split not in known]
    if not (splits == TRAIN).any():
        raise DataError("source", "must hold images to train on", "only " + _names(known))
    for number, split in enumerate(missing):
        rest = np.flatnonzero(splits == TRAIN)
        # The second cut is made from what the first left, and must still be `fraction` of the whole.
        rows = _draw(rest, labels, groups, fraction / (1 - number * fraction), seed)
        splits[rows] = split
    if not missing:
        return splits, "as the source has them"
    origin = "no split" if not len(known) else "no " + _names(missing)
    return splits, (
        f"the source has {origin}: made from {'all' if not len(known) else 'the training'} images, by class, "
        f"{fraction:.0%} each, seed {seed}, copies of an image kept together"
    )


def _draw(rows: Integers, labels: Integers, groups: Integers, fraction: float, seed: int) -> Integers:
    """Draws a stratified `fraction` of the distinct images among `rows`; returns all their copies' rows."""
    # Imported here because most sources have their splits, and it costs a second and 100 MB.
    from sklearn.model_selection import train_test_split

    # By image and label, not by row: the same images give the same cut from any source.
    rows = rows[np.lexsort((labels[rows], groups[rows]))]
    distinct, first = np.unique(groups[rows], return_index=True)
    try:
        _, drawn = train_test_split(
            distinct, test_size=fraction, random_state=seed, stratify=labels[rows[first]]
        )
    except ValueError as error:
        raise DataError(
            "source",
            "every class must have enough distinct images to be cut into splits",
            str(error).rstrip("."),
            "Add images, remove the class, or bring train, validation and test folders",
        ) from error
    return rows[np.isin(groups[rows], drawn)]


def _names(splits: Integers | list[int]) -> str:
    return " and ".join(SPLITS[split] for split in sorted(int(s) for s in splits))
