"""All readable images of a source, encoded, on disk; their digests, labels, splits and subjects in memory.

Which copies are dropped and which splits are made is known only after the last image. So images are encoded once
into an Arrow file, and the split files are copied from it; memory holds some 60 bytes for each image.
"""

import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from fer_ray.data.checks import Checks
from fer_ray.data.duplicates import Integers
from fer_ray.data.images import encode_pngs, pixel_digest
from fer_ray.data.labels import class_key
from fer_ray.data.options import WriteOptions
from fer_ray.data.parquet_files import RejectedFile
from fer_ray.data.schema import IMAGE_TYPE, SPLITS
from fer_ray.data.sources import ImageBatch, SoftLabel, Source
from fer_ray.data.splits import UNKNOWN
from fer_ray.data.subjects import NOBODY
from fer_ray.progress import Progress

_SCHEMA = pa.schema([("image", IMAGE_TYPE)])
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass
class Candidates:
    """The images that could be read, in the source's order.

    Args:
        path: The Arrow file with the encoded images.
        names: Class names; a label code is a position here.
        subject_names: The people shown; a subject code is a position here, or `NOBODY`.
        label_codes, split_codes, subject_codes: One per image; splits are positions in `SPLITS` or `UNKNOWN`.
        digests: One per image.
        soft_labels: One per image, or None, where the source has them; or none at all.
        left_out: Images of classes that were not asked for.
        checks: What was found in the images.
    """

    path: Path
    names: dict[str, int] = field(default_factory=dict)
    subject_names: dict[str, int] = field(default_factory=dict)
    label_codes: list[int] = field(default_factory=list)
    split_codes: list[int] = field(default_factory=list)
    subject_codes: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    soft_labels: list[SoftLabel | None] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    checks: Checks = field(default_factory=Checks)
    _codes: dict[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> Integers:
        """Label codes, int64 (N,)."""
        return np.array(self.label_codes, np.int64)

    @property
    def splits(self) -> Integers:
        """Split codes, int64 (N,)."""
        return np.array(self.split_codes, np.int64)

    @property
    def subjects(self) -> Integers:
        """Subject codes, int64 (N,)."""
        return np.array(self.subject_codes, np.int64)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The encoded images, piece by piece."""
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)

    def add(self, batch: ImageBatch, digests: Iterable[bytes]) -> None:
        """Takes note of a batch's images."""
        people = self.subject_names
        count = len(batch.labels)
        self.label_codes.extend(map(self._code, batch.labels))
        self.split_codes.extend(UNKNOWN if s is None else SPLITS.index(s) for s in batch.splits)
        self.subject_codes.extend(
            NOBODY if s is None else people.setdefault(s, len(people))
            for s in batch.subjects or [None] * count
        )
        self.soft_labels.extend(batch.soft_labels or [None] * count)
        self.digests.extend(digests)
        self.checks.add(batch)

    def _code(self, label: str) -> int:
        """The number of a class; of several spellings, such as Bored and bored, the first is its name."""
        if label not in self._codes:
            name = next((name for name in self.names if class_key(name) == class_key(label)), label)
            self._codes[label] = self.names.setdefault(name, len(self.names))
        return self._codes[label]


def collect(
    source: Source, path: Path, rejected: RejectedFile, options: WriteOptions, progress: Progress
) -> Candidates:
    """Reads, hashes and encodes a whole source; refused images go to `rejected`.

    Raises:
        DataError: If the source contradicts itself.
    """
    candidates = Candidates(path)
    stage, done = f"reading ({source.unit})", 0

    def encode(chunk: object) -> tuple[ImageBatch, Counter[str], pa.RecordBatch, list[bytes]]:
        batch, left_out = _choose(source.decode(chunk), options)
        columns = [pa.array(encode_pngs(batch.images), pa.binary()), pa.array(batch.paths, pa.string())]
        images = pa.StructArray.from_arrays(columns, fields=list(IMAGE_TYPE))
        encoded = pa.record_batch([images], schema=_SCHEMA)
        return batch, left_out, encoded, [pixel_digest(image) for image in batch.images]

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for batch, left_out, encoded, digests in _in_threads(encode, source.chunks()):
            writer.write_batch(encoded)
            candidates.add(batch, digests)
            candidates.left_out.update(left_out)
            rejected.add(batch.refused)
            done += batch.units
            progress(stage, done, max(source.total, done))
    source.finish()
    progress(stage, source.total, source.total)
    return candidates


def _choose(batch: ImageBatch, options: WriteOptions) -> tuple[ImageBatch, Counter[str]]:
    """Takes the subjects from the paths, and the classes that were asked for; counts the others."""
    if options.group_pattern:
        batch = replace(batch, subjects=_subjects(batch.paths, options.group_pattern))
    kept = options.kept_classes
    if not kept or kept.issuperset(map(class_key, batch.labels)):
        return batch, Counter()
    rows = [row for row, label in enumerate(batch.labels) if class_key(label) in kept]
    chosen = replace(
        batch,
        images=batch.images[rows],
        labels=_at(rows, batch.labels),
        splits=_at(rows, batch.splits),
        paths=_at(rows, batch.paths),
        subjects=_at(rows, batch.subjects),
        soft_labels=_at(rows, batch.soft_labels),
        found=_at(rows, batch.found),
    )
    return chosen, Counter(label for label in batch.labels if class_key(label) not in kept)


def _subjects(paths: Sequence[str], pattern: re.Pattern[str]) -> list[str | None]:
    found = (pattern.search(path) for path in paths)
    return [match[1] if match else None for match in found]


def _at(rows: Sequence[int], values: Sequence[_Item]) -> Sequence[_Item]:
    return [values[row] for row in rows] if values else values


def _in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Maps in order with one thread per core; never more than one item per thread waits, to bound memory."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads, "fer_ray.data") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
