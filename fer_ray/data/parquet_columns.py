"""Which columns of a Parquet file hold images, labels, splits and soft labels, and what their values mean."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fer_ray.data.schema import SOFT_LABEL
from fer_ray.data.sources import SoftLabel
from fer_ray.errors import DataError

_IMAGE_NAMES = ("image", "img", "picture", "jpeg", "png", "bytes")
_LABEL_NAMES = ("label", "labels", "emotion", "expression", "class", "target")
_SPLIT_NAMES = ("split", "usage")
#: How far shares may miss their sum, as those of 16 bits do.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Args:
        image: Of binary values, or of struct<bytes, path> as in Hugging Face's files.
        label: Of strings or integers.
        split, soft_label: Or None.
        classes: Names of the integers in `label`, if the file has them.
    """

    image: str
    label: str
    split: str | None
    soft_label: str | None
    classes: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """All that are read."""
        return [n for n in (self.image, self.label, self.split, self.soft_label) if n is not None]

    def images(self, batch: pa.RecordBatch) -> Iterator[tuple[bytes | None, str | None]]:
        """Each row's encoded image, and its path where it has one."""
        for value in batch.column(self.image).to_pylist():
            if isinstance(value, dict):
                yield value["bytes"], value.get("path")
            else:
                yield value, None

    def labels(self, batch: pa.RecordBatch) -> list[str | None]:
        """Each row's label as text."""
        return [self._label(value) for value in batch.column(self.label).to_pylist()]

    def splits(self, batch: pa.RecordBatch) -> list[str | None]:
        """Each row's split, as the file calls it."""
        return batch.column(self.split).to_pylist() if self.split else [None] * batch.num_rows

    def soft_labels(self, batch: pa.RecordBatch, where: str, start: int) -> list[SoftLabel | None]:
        """Each row's soft label; the first row is the file's row `start`.

        Raises:
            DataError: If one is no shares of a whole.
        """
        if self.soft_label is None:
            return [None] * batch.num_rows
        rows = batch.column(self.soft_label).to_pylist()
        wrong = next(
            (n for n, shares in enumerate(rows) if shares is not None and not _are_shares(shares)), None
        )
        if wrong is not None:
            rule = f"shares in {self.soft_label} must be at least 0 and sum to 1"
            remedy = "Mend them, or give the column another name"
            raise DataError(f"{where}:{start + wrong}", rule, str(rows[wrong]), remedy)
        return [
            None if shares is None else {n: s for n, s in zip(self.classes, shares, strict=True) if s}
            for shares in rows
        ]

    def _label(self, value: Any) -> str | None:
        if isinstance(value, int) and self.classes:
            return self.classes[value] if 0 <= value < len(self.classes) else None
        return None if value is None else str(value)


def find_columns(schema: pa.Schema, where: str) -> Columns:
    """Finds the columns by Hugging Face's description, else by type and usual names.

    Raises:
        DataError: If there is no image or no label, or more than one of a kind and none of a usual name.
    """
    features = _features(schema)
    lower = {name.lower(): name for name in reversed(schema.names)}
    image = _one("image", "images", _image_names(schema, features), _IMAGE_NAMES, schema, where)
    label = _one(
        "label", "labels (text or integers)", _label_names(schema, features), _LABEL_NAMES, schema, where
    )
    split = next((lower[name] for name in _SPLIT_NAMES if name in lower), None)
    if split and not _is_text(schema.field(split).type):
        split = None
    classes = _class_names(features.get(label))
    soft = SOFT_LABEL if _holds_shares(schema, len(classes)) else None
    return Columns(image, label, split, soft, classes)


def _holds_shares(schema: pa.Schema, classes: int) -> bool:
    """Whether there are soft labels of as many classes as the file's description has."""
    if not classes or schema.get_field_index(SOFT_LABEL) < 0:
        return False
    kind = schema.field(SOFT_LABEL).type
    return bool(pa.types.is_fixed_size_list(kind)) and kind.list_size == classes


def _are_shares(shares: Sequence[float | None]) -> bool:
    numbers = [share for share in shares if share is not None and share >= 0]
    return len(numbers) == len(shares) and abs(sum(numbers) - 1) < _ROUNDING


def _one(
    kind: str, rule: str, candidates: Sequence[str], usual: Sequence[str], schema: pa.Schema, where: str
) -> str:
    if len(candidates) == 1:
        return candidates[0]
    named = {name.lower(): name for name in candidates}
    found = next((named[name] for name in usual if name in named), None)
    if found is None:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        remedy = f"Name the column of the {kind}s {usual[0]}"
        raise DataError(where, f"must have one column of {rule}", columns, remedy)
    return found


def _image_names(schema: pa.Schema, features: Mapping[str, Any]) -> list[str]:
    described = [name for name, feature in features.items() if _kind(feature) == "Image"]
    return described or [field.name for field in schema if _holds_images(field.type)]


def _label_names(schema: pa.Schema, features: Mapping[str, Any]) -> list[str]:
    described = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    usual = [f.name for f in schema if f.name.lower() in _LABEL_NAMES and _holds_labels(f.type)]
    return described or usual


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Hugging Face's description of the columns; empty where there is none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    known = features if isinstance(features, dict) else {}
    return {name: feature for name, feature in known.items() if name in schema.names}


def _class_names(feature: Any) -> Sequence[str]:
    names = feature.get("names") if _kind(feature) == "ClassLabel" else None
    if isinstance(names, dict):
        return [str(names[key]) for key in sorted(names, key=int)]
    return [str(name) for name in names] if isinstance(names, list) else []


def _kind(feature: Any) -> str | None:
    return feature.get("_type") if isinstance(feature, dict) else None


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_binary(field.type) for field in kind)
    return _is_binary(kind)


def _holds_labels(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(value)) or _is_text(value)


def _is_binary(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(value) for test in tests)
