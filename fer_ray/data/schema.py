"""The data set format: split files, Parquet columns with Hugging Face's image convention, `dataset.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from fer_ray.errors import DataError
from fer_ray.file_store import FileStore

#: Rises when a reader of the older format could misread the newer one; readers refuse newer versions.
FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")
"""The splits of a data set, a Parquet file each."""
MANIFEST = "dataset.json"
REJECTED = "rejected.parquet"
#: Small enough that a reader can take part of a split, large enough that its overhead is nothing.
ROWS_PER_GROUP = 1024
#: Of a piece of a data set that is decoded at once; several are in memory, some for each core.
PIECE_BYTES = 8 << 20
#: Of the Parquet files; the images in them are PNGs without compression of their own.
COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1}

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
#: Of a data set whose source has them: shares of the classes, which sum to 1; `label` is the greatest.
SOFT_LABEL = "soft_label"
REJECTED_SCHEMA = pa.schema(
    [("path", pa.string()), ("reason", pa.string()), ("detail", pa.string()), ("content", pa.binary())]
)


def split_schema(classes: Sequence[str], soft_labels: bool = False) -> pa.Schema:
    """The Parquet schema of a split file; `datasets.load_dataset("parquet", ...)` reads it with class names."""
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
    }
    columns = [("image", IMAGE_TYPE), ("label", pa.int64())]
    if soft_labels:
        value = {"dtype": "float32", "_type": "Value"}
        features[SOFT_LABEL] = {"feature": value, "length": len(classes), "_type": "Sequence"}
        columns.append((SOFT_LABEL, pa.list_(pa.float32(), len(classes))))
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(columns, metadata=metadata)


def rows_within(memory: int, row_bytes: int, most: int = ROWS_PER_GROUP) -> int:
    """How many rows of `row_bytes` fit into `memory` bytes: at least one, and at most `most`."""
    return max(1, min(most, memory // max(1, row_bytes)))


def split_file(split: str) -> str:
    """The name of a split's file in a data set."""
    return f"{split}.parquet"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `dataset.json` holds.

    Args:
        name: Of the data set, for tables and model cards.
        classes: In the order of the integer labels.
        image_shape: Height, width and channels of every image.
        counts: Images per split and class.
        fingerprint: Hexadecimal digest over the sorted (split, class name, decoded pixels).
        card: Texts for model cards: ``description``, ``license``, ``caveats``.
        report: What the import found and did.
        created: ISO 8601, UTC.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, dict[str, int]]
    fingerprint: str
    card: dict[str, str]
    report: dict[str, Any]
    created: str

    def to_json(self) -> str:
        """The text of `dataset.json`."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2) + "\n"


def read_manifest(files: FileStore) -> Manifest:
    """Reads `dataset.json`.

    Raises:
        DataError: If the file is missing, broken, or of a newer format version.
    """
    try:
        content = files.read(MANIFEST)
    except OSError as error:
        raise DataError(files.where, "a data set must be readable", str(error)) from error
    if content is None:
        raise DataError(files.where, f"a data set must hold a {MANIFEST}", remedy="Run `fer-ray data import`")
    path = f"{files.where}/{MANIFEST}"
    try:
        fields = json.loads(content)
        version = fields.pop("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise DataError(
                path,
                f"the format version must be at most {FORMAT_VERSION}",
                repr(version),
                "Update fer_ray, or import the source again",
            )
        height, width, channels = fields.pop("image_shape")
        shape = (int(height), int(width), int(channels))
        classes, counts = tuple(fields.pop("classes")), fields.pop("counts")
        counts = {split: {name: int(counts[split][name]) for name in classes} for split in SPLITS}
        return Manifest(classes=classes, image_shape=shape, counts=counts, **fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            path, "must be a data set's description", str(error), "Import the source again"
        ) from error


def read_card(content: bytes, where: str) -> dict[str, str]:
    """The texts for model cards in the content of a `dataset.json`.

    Raises:
        DataError: If it is none.
    """
    try:
        return {str(name): str(text) for name, text in json.loads(content)["card"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(where, f"must hold a whole {MANIFEST}, or none", str(error)) from error
