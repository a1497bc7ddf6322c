"""Splits that a source lacks: drawn by class, seeded, copies of an image and a person's images kept together."""

import warnings
from fractions import Fraction

import numpy as np

from fer_ray.data.duplicates import Integers
from fer_ray.data.schema import SPLITS
from fer_ray.errors import DataError

UNKNOWN = -1
TRAIN, VALIDATION, TEST = range(len(SPLITS))
#: Of all images, for each split that a source lacks, unless the user says otherwise.
_FRACTION = 0.1
#: A fraction is made of whole folds; more of them than this would be of single people.
_MOST_FOLDS = 20


def complete_splits(
    splits: Integers,
    labels: Integers,
    groups: Integers,
    *,
    units: Integers | None = None,
    shares: tuple[int, int, int] | None = None,
    seed: int,
) -> tuple[Integers, str]:
    """Gives every image a split, and every split images.

    A source without splits is cut at random; a missing validation or test split is taken out of training.
    Images without a split in a source that has some go to training.

    Args:
        splits: Positions in `SPLITS` or `UNKNOWN`, shape (N,).
        labels: Integer labels, shape (N,).
        groups: Equal numbers for identical images, which then get the same split.
        units: Equal numbers for images of the same person, identical ones included, which then get the same split;
            None if the source tells nobody.
        shares: Percentages of train, validation and test, to cut all images anew; None to keep the source's splits
            and cut those that it lacks of a tenth each.
        seed: Of the random cut.

    Returns:
        The splits, and one sentence that says where they come from.

    Raises:
        DataError: If no image is left for training, or a class or the people are too few to be cut.
    """
    splits = np.full_like(splits, UNKNOWN) if shares else splits.copy()
    known = np.unique(splits[splits != UNKNOWN])
    splits[splits == UNKNOWN] = TRAIN
    missing = [split for split in (TEST, VALIDATION) if split not in known]
    if not (splits == TRAIN).any():
        remedy = "Name the folder of all splits, or add --split 80/10/10 to make them anew"
        raise DataError("source", "must hold images to train on", "only " + _names(known), remedy)
    cut = Fraction(0)
    for split in missing:
        rest = np.flatnonzero(splits == TRAIN)
        fraction = Fraction(shares[split], 100) if shares else Fraction(_FRACTION).limit_denominator(100)
        # A later cut is made from what the first left, and must still be its fraction of the whole.
        part = fraction / (1 - cut)
        cut += fraction
        if units is None:
            splits[_draw_images(rest, labels, groups, part, seed)] = split
        else:
            splits[_draw_people(rest, labels, groups, units, part, seed)] = split
    return splits, _origin(known, missing, shares, units is not None, seed)


def _origin(
    known: Integers, missing: list[int], shares: tuple[int, int, int] | None, people: bool, seed: int
) -> str:
    """Where the splits come from, in words."""
    if not missing:
        return "as the source has them"
    together = "copies of an image" + (" and images of a person" if people else "")
    rule = f"by class, {{}}, seed {seed}, {together} kept together"
    if shares:
        return "made anew, as asked: " + rule.format("/".join(map(str, shares)) + "%")
    origin = "no split" if not len(known) else "no " + _names(missing)
    source = "all" if not len(known) else "the training"
    return f"the source has {origin}: made from {source} images, " + rule.format(f"{_FRACTION:.0%} each")


def _draw_images(rows: Integers, labels: Integers, groups: Integers, part: Fraction, seed: int) -> Integers:
    """Draws a stratified `part` of the distinct images among `rows`; returns all their copies' rows."""
    # Imported here because most sources have their splits, and it costs a second and 100 MB.
    from sklearn.model_selection import train_test_split

    rows, distinct, first = _distinct(rows, labels, groups)
    try:
        _, drawn = train_test_split(
            distinct, test_size=float(part), random_state=seed, stratify=labels[rows[first]]
        )
    except ValueError as error:
        raise DataError(
            "source",
            "every class must have enough distinct images to be cut into splits",
            str(error).rstrip("."),
            "Add images, remove the class, or bring train, validation and test folders",
        ) from error
    return rows[np.isin(groups[rows], drawn)]


def _draw_people(
    rows: Integers, labels: Integers, groups: Integers, units: Integers, part: Fraction, seed: int
) -> Integers:
    """Draws people with about `part` of the distinct images among `rows`, and about that of each class."""
    from sklearn.model_selection import StratifiedGroupKFold

    rows, _, first = _distinct(rows, labels, groups)
    images = rows[first]
    people = len(np.unique(units[images]))
    if people < 2:
        raise DataError(
            "source",
            "must show enough people to be cut into splits that share none",
            "1 person is left to cut",
            "Bring images of at least three people, or train, validation and test folders",
        )
    # scikit-learn wants as many images of the most frequent class as there are folds.
    drawn, folds = _folds(part, min(people, int(np.bincount(labels[images]).max())))
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class that fewer people show than there are folds is told by the import's own report.
        warnings.simplefilter("ignore", UserWarning)
        try:
            parts = [fold for _, fold in cutter.split(images, labels[images], units[images])][:drawn]
        except ValueError as error:
            raise DataError(
                "source", "must have enough images of each class to be cut", str(error)
            ) from error
    return rows[np.isin(units[rows], units[images[np.concatenate(parts)]])]


def _folds(part: Fraction, most: int) -> tuple[int, int]:
    """How many folds of how many, at most `most`, come nearest to `part`; at least one, and never all."""
    most = max(2, min(_MOST_FOLDS, most))
    ways = [(min(max(1, round(part * folds)), folds - 1), folds) for folds in range(2, most + 1)]
    return min(ways, key=lambda way: abs(Fraction(*way) - part))


def _distinct(rows: Integers, labels: Integers, groups: Integers) -> tuple[Integers, Integers, Integers]:
    """Rows in an order that the source's does not change; the distinct images, and where each comes first."""
    rows = rows[np.lexsort((labels[rows], groups[rows]))]
    distinct, first = np.unique(groups[rows], return_index=True)
    return rows, distinct, first


def _names(splits: Integers | list[int]) -> str:
    return " and ".join(SPLITS[split] for split in sorted(int(s) for s in splits))
