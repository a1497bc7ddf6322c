"""What the labels of a source mean: names for its numbers, other names for its names."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fer_ray.data.labels import EMOTIONS, class_key, class_name, plain
from fer_ray.data.schema import SPLITS
from fer_ray.errors import ConfigError, DataError

_RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
_AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
_CK_PLUS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
#: The numbers of well-known data sets.
CODES: dict[str, dict[str, str]] = {
    "fer2013": {str(number): name for number, name in enumerate(EMOTIONS)},
    "raf-db": {str(number): name for number, name in enumerate(_RAF_DB, 1)},
    "affectnet": {str(number): name for number, name in enumerate(_AFFECTNET)},
    "ck-plus": {str(number): name for number, name in enumerate(_CK_PLUS)},
}
#: Numbers of theirs that say that there is no emotion, and why.
NO_EMOTION: dict[str, dict[str, str]] = {"affectnet": {"8": "none", "9": "uncertain", "10": "no face"}}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan", re.IGNORECASE)
_REMEDY = "Write --label-map 0=angry,1=disgust,..., a YAML or JSON file, or one of: " + ", ".join(CODES)


class LabelMap:
    """Names labels as a user said, and as they are usually spelled.

    Args:
        meanings: Label -> class. Labels are compared without case, spaces and underscores, whole numbers by their
            value; a name that is not found is looked up by the emotion that it spells (``happy=...`` also meets
            ``joy``).
        partial: Whether the source need not have all these labels.
        without: Labels that say that there is no emotion -> why.
    """

    def __init__(
        self,
        meanings: Mapping[str, str] | None = None,
        partial: bool = False,
        without: Mapping[str, str] | None = None,
    ) -> None:
        self._meanings = {label_key(label): class_name(name) for label, name in (meanings or {}).items()}
        self._without = without or {}
        self._unmet = set() if partial else set(self._meanings)

    def said(self, label: str) -> str | None:
        """The class that the user gave for this label, or None."""
        for key in (label_key(label), label_key(class_name(label))):
            if key in self._meanings:
                self._unmet.discard(key)
                return self._meanings[key]
        return None

    def name(self, label: str) -> str:
        """The class of a label: as the user said, else the emotion that it spells, else the label itself."""
        return self.said(label) or class_name(label)

    @property
    def names_numbers(self) -> bool:
        """Whether the user named any number: then no number has a usual meaning."""
        return any(map(is_number, self._meanings))

    def refusal(self, label: str) -> tuple[str, str] | None:
        """Reason and detail where a label says that there is none, such as -1 or NaN, unless the user named it."""
        key = label_key(label)
        if key in self._meanings:
            return None
        if key in self._without:
            return "no emotion", self._without[key]
        says_none = is_number(label) and (key.startswith("-") or key == "nan")
        return ("unknown label", repr(label)) if says_none else None

    def check_all_met(self, where: str) -> None:
        """Checks that every label that the user named was in the source.

        Raises:
            DataError: If one was not: it is misspelled.
        """
        if self._unmet:
            missing = ", ".join(sorted(self._unmet))
            raise DataError(where, "must have every label that --label-map names", f"none called {missing}")

    def check_splits(self, where: str, labels: Iterable[tuple[str | None, str]], merge: bool) -> None:
        """Checks the labels of each split, pairs of both; images without a split are trained on.

        Raises:
            DataError: If they are not clear.
        """
        by_split: dict[str, set[str]] = {}
        for split, label in labels:
            by_split.setdefault(split or SPLITS[0], set()).add(label)
        for _, names in sorted(by_split.items()):
            self.check_labels(where, names, merge)

    def check_labels(self, where: str, labels: Iterable[str], merge: bool) -> None:
        """Checks that labels of one split are clear: no number without a name, no two spellings of one emotion.

        Raises:
            DataError: If they are not.
        """
        spellings: dict[str, dict[str, str]] = {}
        for label in sorted(labels):
            said = self.said(label)
            if self.refusal(label):
                continue
            if said is None and is_number(label):
                raise number_error(where, label)
            if said is None:
                # Bored and bored are one word.
                spellings.setdefault(class_key(label), {}).setdefault(plain(label), label)
        for name, same in sorted(spellings.items()):
            if len(same) > 1 and not merge:
                raise DataError(
                    where,
                    f"only one folder or label of a split may stand for the class {name}",
                    ", ".join(same.values()),
                    "Add --merge-classes to make one class of them, or rename one",
                )


def is_number(label: str) -> bool:
    """Whether a label is a bare number, whole or not, which says nothing by itself."""
    return bool(_NUMBER.fullmatch(label.strip()))


def number_error(where: str, label: str) -> DataError:
    """The error for a number that nobody has named."""
    return DataError(
        where, "numbers as labels need names: they mean other emotions in every data set", label, _REMEDY
    )


def parse_label_map(text: str) -> LabelMap:
    """Reads ``0=angry,1=disgust``, a YAML or JSON file, or the name of a known code.

    Raises:
        ConfigError: If it is none of these.
    """
    text = text.strip()
    if text in CODES:
        return LabelMap(CODES[text], partial=True, without=NO_EMOTION.get(text))
    if Path(text).suffix.lower() in {".yaml", ".yml", ".json"} and "=" not in text:
        return LabelMap(_as_text(_read(Path(text)), text))
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or any(not equals for _, equals, _ in pairs):
        raise ConfigError("--label-map", "must name a class for each label", repr(text), _REMEDY)
    labels = [label.strip() for label, _, _ in pairs]
    keys = [label_key(label) for label in labels]
    twice = next((label for label, key in zip(labels, keys, strict=True) if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError("--label-map", "must name each label once", twice)
    return LabelMap(_as_text(dict(zip(labels, (name.strip() for *_, name in pairs), strict=True)), text))


def _read(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text()
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--label-map {path}", "must be a YAML or JSON file", str(error)) from error


def _as_text(content: Any, where: str) -> dict[str, str]:
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict) or not content:
        raise ConfigError(
            f"--label-map {where}", "must map labels to classes", type(content).__name__, _REMEDY
        )
    wrong = next((v for v in content.values() if not isinstance(v, str) or not v or is_number(v)), None)
    if wrong is not None:
        raise ConfigError(f"--label-map {where}", "a class must have a name", repr(wrong))
    return {str(label): name for label, name in content.items()}


def label_key(label: str) -> str:
    """What two labels that mean the same have in common; pandas writes 3 as 3.0 where a column has gaps."""
    if not is_number(label):
        return plain(label)
    value = float(label)
    return str(int(value)) if value.is_integer() else label.strip().lower()
