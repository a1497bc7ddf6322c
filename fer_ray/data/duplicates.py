"""Pixel-identical images: where they are, which labels disagree, which copies must not be trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fer_ray.data.schema import SPLITS

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def group_identical(digests: Sequence[bytes]) -> Integers:
    """Numbers the distinct digests in their own order, whatever that of the images; int64 (N,)."""
    numbers = {digest: number for number, digest in enumerate(sorted(set(digests)))}
    return np.fromiter((numbers[digest] for digest in digests), np.int64, len(digests))


def evaluation_copies(groups: Integers, splits: Integers) -> Mask:
    """Marks training copies of validation or test images, and validation copies of test images.

    The test split is never touched, so its size stays that of the source. Labels do not matter: a copy with
    another label still shows the model the image.

    Args:
        groups: From `group_identical`.
        splits: Positions in `SPLITS`, shape (N,).
    """
    # SPLITS runs from train to test, so the last split of a group is the one that keeps the image.
    last = np.zeros(groups.max(initial=-1) + 1, np.int64)
    np.maximum.at(last, groups, splits)
    return splits < last[groups]


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """What was found.

    Args:
        distinct: Distinct images.
        redundant: Images beyond the first of their group.
        groups: Groups of two or more identical images.
        across: Distinct images that lie in both splits, keyed ``train+validation`` and so on.
        conflicting: Row numbers of each group whose labels disagree.
    """

    distinct: int
    redundant: int
    groups: int
    across: dict[str, int]
    conflicting: list[list[int]]


def find_duplicates(groups: Integers, splits: Integers, labels: Integers) -> Duplicates:
    """Counts the copies of N images; `splits` and `labels` are integer codes of shape (N,)."""
    sizes = np.bincount(groups)
    present = np.zeros((len(sizes), len(SPLITS)), np.bool_)
    present[groups, splits] = True
    across = {
        f"{SPLITS[a]}+{SPLITS[b]}": int((present[:, a] & present[:, b]).sum())
        for a, b in combinations(range(len(SPLITS)), 2)
    }
    return Duplicates(
        distinct=len(sizes),
        redundant=int((sizes - 1).sum()),
        groups=int((sizes > 1).sum()),
        across=across,
        conflicting=_conflicting(groups, labels),
    )


def _conflicting(groups: Integers, labels: Integers) -> list[list[int]]:
    count = groups.max(initial=-1) + 1
    low = np.full(count, np.iinfo(np.int64).max)
    high = np.full(count, -1)
    np.minimum.at(low, groups, labels)
    np.maximum.at(high, groups, labels)
    rows = np.flatnonzero((low != high)[groups])
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(groups[row]), []).append(row)
    return list(members.values())
