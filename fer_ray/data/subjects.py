"""Who is shown: what a user says about it, and whose images must stay together."""

import re

import numpy as np

from fer_ray.data.duplicates import Integers
from fer_ray.errors import ConfigError

NOBODY = -1


def compile_group(regex: str) -> re.Pattern[str]:
    """Compiles ``--group-from``.

    Raises:
        ConfigError: If it is no regular expression with a group.
    """
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise ConfigError("--group-from", "must be a regular expression", f"{regex!r}: {error}") from error
    if not pattern.groups:
        raise ConfigError(
            "--group-from", "must have a group, which is the subject", repr(regex), "Write one as (S[0-9]+)"
        )
    return pattern


def join_subjects(images: Integers, subjects: Integers) -> Integers:
    """Numbers the sets of images that no cut may part: of one subject, or identical, or linked by such.

    Args:
        images: Equal numbers for identical images, from 0, shape (N,).
        subjects: Equal numbers for one subject, or `NOBODY`, shape (N,).

    Returns:
        int64, shape (N,); the numbers follow those of the images, whatever the order of the rows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = int(images.max(initial=-1)) + 1
    known = subjects != NOBODY
    ends = (images[known], count + subjects[known])
    size = count + int(subjects.max(initial=-1)) + 1
    links = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(size, size))
    _, sets = connected_components(links, directed=False)
    # Numbered by the first image, since the order in which subjects were met is the source's own.
    _, first, inverse = np.unique(sets[:count], return_index=True, return_inverse=True)
    ranks = np.argsort(np.argsort(first))
    joined: Integers = ranks[inverse].astype(np.int64)[images]
    return joined
