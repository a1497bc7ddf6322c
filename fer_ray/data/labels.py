"""Names of emotions and splits as they are spelled in the wild, and the order of classes."""

import re
from collections.abc import Iterable
from functools import lru_cache

#: The seven emotions in the order of FER2013's codes 0 to 6.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

_EMOTION_SPELLINGS = {
    "angry": "anger angered mad an",
    "disgust": "disgusted disgusting di",
    "fear": "fearful afraid scared fe af",
    "happy": "happiness joy joyful smile ha",
    "sad": "sadness unhappy sa",
    "surprise": "surprised suprise suprised surprize su",
    "neutral": "neutrality normal calm ne neu",
    "contempt": "contemptuous co",
}
_SPLIT_SPELLINGS = {
    "train": "training",
    "validation": "val valid dev publictest",
    "test": "testing eval evaluation privatetest",
}


def _by_spelling(table: dict[str, str]) -> dict[str, str]:
    return {spelling: name for name, others in table.items() for spelling in (name, *others.split())}


_EMOTION_OF = _by_spelling(_EMOTION_SPELLINGS)
_SPLIT_OF = _by_spelling(_SPLIT_SPELLINGS)
#: What may follow a split's name: test_set, train_images, val-2, train-00000-of-00002.
_SPLIT_SUFFIX = re.compile(r"(data|images?)?(set)?(\d+(of\d+)?)?$")
#: File names such as Training_3908.jpg keep the official split through any later shuffling of folders.
_OFFICIAL_PREFIX = re.compile(r"(training|publictest|privatetest)_", re.IGNORECASE)


def plain(text: str) -> str:
    """A name without what does not matter in it: case, spaces, underscores, hyphens."""
    return re.sub(r"[\s_\-]+", "", text).lower()


def class_name(text: str) -> str:
    """The class that a folder or label names; an emotion's synonym becomes the emotion.

    Case, spaces, underscores and a leading number such as ``03_`` do not matter. Other names stay as they are.
    """
    stripped = re.sub(r"^\s*\d+[\s_.\-]+(?=\D)", "", text).strip()
    return _EMOTION_OF.get(plain(stripped), stripped)


@lru_cache(1024)
def class_key(name: str) -> str:
    """What all spellings of a class have in common, of one that is no emotion too."""
    return plain(class_name(name))


def is_emotion(name: str) -> bool:
    """Whether a class name is one of the emotions that have known spellings."""
    return name in _EMOTION_SPELLINGS


def split_name(text: str) -> str | None:
    """The split that a folder, a file or a Usage value names; None if it names none."""
    return _SPLIT_OF.get(_SPLIT_SUFFIX.sub("", plain(text), count=1))


def official_split(file_name: str) -> str | None:
    """FER2013's own split, where the file's name still begins with it."""
    match = _OFFICIAL_PREFIX.match(file_name)
    return split_name(match.group(1)) if match else None


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """FER2013's emotions in FER2013's order, then all others sorted; the same for every kind of source."""
    present = set(names)
    return (*(e for e in EMOTIONS if e in present), *sorted(present - set(EMOTIONS)))
