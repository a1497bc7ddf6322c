"""All readable images of a source, encoded, on disk; their digests, labels and splits in memory.

Which copies are dropped and which splits are made is known only after the last image. So images are encoded once
into an Arrow file, and the split files are copied from it; memory holds some 50 bytes for each image.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from fer_ray.data.duplicates import Integers
from fer_ray.data.images import encode_pngs, pixel_digest
from fer_ray.data.parquet_files import RejectedFile
from fer_ray.data.schema import IMAGE_TYPE, SPLITS
from fer_ray.data.sources import ImageBatch, Source
from fer_ray.data.splits import UNKNOWN
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
        label_codes, split_codes: One per image; splits are positions in `SPLITS` or `UNKNOWN`.
        digests: One per image.
    """

    path: Path
    names: dict[str, int] = field(default_factory=dict)
    label_codes: list[int] = field(default_factory=list)
    split_codes: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    @property
    def labels(self) -> Integers:
        """Label codes, int64 (N,)."""
        return np.array(self.label_codes, np.int64)

    @property
    def splits(self) -> Integers:
        """Split codes, int64 (N,)."""
        return np.array(self.split_codes, np.int64)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The encoded images, piece by piece."""
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


def collect(source: Source, path: Path, rejected: RejectedFile, progress: Progress) -> Candidates:
    """Reads, hashes and encodes a whole source; refused images go to `rejected`."""
    candidates = Candidates(path)
    stage, done = f"reading ({source.unit})", 0

    def encode(chunk: object) -> tuple[ImageBatch, pa.RecordBatch, list[bytes]]:
        batch = source.decode(chunk)
        columns = [pa.array(encode_pngs(batch.images), pa.binary()), pa.array(batch.paths, pa.string())]
        images = pa.StructArray.from_arrays(columns, fields=list(IMAGE_TYPE))
        encoded = pa.record_batch([images], schema=_SCHEMA)
        return batch, encoded, [pixel_digest(image) for image in batch.images]

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for batch, encoded, digests in _in_threads(encode, source.chunks()):
            writer.write_batch(encoded)
            _index(candidates, batch, digests)
            rejected.add(batch.refused)
            done += batch.units
            progress(stage, done, max(source.total, done))
    progress(stage, source.total, source.total)
    return candidates


def _index(candidates: Candidates, batch: ImageBatch, digests: list[bytes]) -> None:
    names = candidates.names
    candidates.label_codes.extend(names.setdefault(label, len(names)) for label in batch.labels)
    candidates.split_codes.extend(UNKNOWN if s is None else SPLITS.index(s) for s in batch.splits)
    candidates.digests.extend(digests)


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
