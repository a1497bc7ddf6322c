"""How a source becomes a data set: what a user chooses, whatever the source."""

import re
from dataclasses import dataclass
from functools import cached_property

from fer_ray.data.labels import class_key
from fer_ray.data.subjects import compile_group
from fer_ray.errors import ConfigError

_SPLIT_RULE = "must be three whole percentages for train, validation and test that sum to 100"
_SPLIT_REMEDY = "Write --split 80/10/10"


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a source becomes a data set.

    Args:
        classes: Keep only these, by any of their spellings; none for all.
        split: Percentages of train, validation and test, each at least 1, to make all splits anew; None keeps those
            of the source, and makes those that it lacks of a tenth of the images each.
        group_from: A regular expression whose first group, found in an image's path, is its subject; None to go
            by the names of well-known data sets.
        seed: Of the splits that are made.
        keep_duplicates: Keep training copies of validation and test images.
        overwrite: Replace a data set that is already there.

    Raises:
        ConfigError: If one is none of what it may be.
    """

    classes: tuple[str, ...] = ()
    split: tuple[int, int, int] | None = None
    group_from: str | None = None
    seed: int = 0
    keep_duplicates: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.split is not None and (min(self.split) < 1 or sum(self.split) != 100):
            raise ConfigError("--split", _SPLIT_RULE, "/".join(map(str, self.split)), _SPLIT_REMEDY)
        if len(self.kept_classes) != len(self.classes) or len(self.classes) == 1:
            raise ConfigError("--classes", "must be at least two different classes", ", ".join(self.classes))
        if self.seed < 0:
            raise ConfigError("--seed", "must be at least 0", str(self.seed))
        _ = self.group_pattern

    @cached_property
    def kept_classes(self) -> frozenset[str]:
        """What all spellings of the classes to keep have in common; empty for all."""
        return frozenset(map(class_key, self.classes))

    @cached_property
    def group_pattern(self) -> re.Pattern[str] | None:
        """`group_from`, compiled."""
        return None if self.group_from is None else compile_group(self.group_from)


def parse_split(text: str) -> tuple[int, int, int]:
    """Reads ``80/10/10``.

    Raises:
        ConfigError: If it is not three whole numbers; their sum is checked by `WriteOptions`.
    """
    parts = text.split("/")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError("--split", _SPLIT_RULE, repr(text), _SPLIT_REMEDY)
    train, validation, test = map(int, parts)
    return train, validation, test


def parse_classes(text: str) -> tuple[str, ...]:
    """Reads ``happy,sad``.

    Raises:
        ConfigError: If there is no name.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError(
            "--classes", "must name the classes to keep", repr(text), "Write --classes happy,sad"
        )
    return names
