"""Writes a data set from any source: candidates, duplicates, splits, Parquet, description."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fer_ray.data.candidates import Candidates, collect
from fer_ray.data.card_texts import EMOTION_CARD
from fer_ray.data.dataset import Dataset, open_dataset
from fer_ray.data.duplicates import (
    Duplicates,
    Integers,
    Mask,
    evaluation_copies,
    find_duplicates,
    group_identical,
)
from fer_ray.data.folders import new_folder
from fer_ray.data.labels import class_order, is_emotion
from fer_ray.data.parquet_files import RejectedFile, SplitWriter
from fer_ray.data.schema import (
    MANIFEST,
    REJECTED,
    SPLITS,
    Manifest,
    split_file,
    split_schema,
)
from fer_ray.data.sources import Refusal, Source
from fer_ray.data.splits import complete_splits
from fer_ray.errors import ConfigError, DataError
from fer_ray.progress import Progress, no_progress

COPY = "copy of an evaluation image"


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a source becomes a data set.

    Args:
        keep_duplicates: Keep training copies of validation and test images.
        overwrite: Replace a data set that is already there.
        fraction: Of the images, for each split that has to be made; 0 to 0.5, both exclusive.
        seed: Of the splits that have to be made.
    """

    keep_duplicates: bool = False
    overwrite: bool = False
    fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 0.5:
            raise ConfigError("fraction", "must be between 0 and 0.5, both exclusive", repr(self.fraction))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Where each candidate goes; arrays of shape (N,)."""

    classes: tuple[str, ...]
    labels: Integers
    splits: Integers
    kept: Mask
    duplicates: Duplicates
    origin: str


def write_dataset(
    source: Source,
    out: Path,
    *,
    name: str,
    card: Mapping[str, str] | None = None,
    options: WriteOptions | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Writes a data set to the folder `out`, which is whole or not there.

    Args:
        source: Where the images come from.
        out: The folder.
        name: Of the data set.
        card: Texts for model cards, in place of those that every data set of emotions gets.
        options: Duplicates, missing splits, overwriting.
        progress: Told how far the work is.

    Raises:
        DataError: If `out` may not be written, or the source holds no usable images.
    """
    options = options or WriteOptions()
    with new_folder(out, options.overwrite) as folder:
        rejected = RejectedFile(folder / REJECTED)
        try:
            candidates = collect(source, folder / "candidates.arrow", rejected, progress)
            refused = dict(rejected.counts)
            plan = _plan(source.name, candidates, refused, options)
            copies = _write_splits(folder, candidates, plan, rejected, progress)
        finally:
            rejected.close()
        candidates.path.unlink()
        manifest = Manifest(
            name=name,
            classes=plan.classes,
            image_shape=source.image_shape,
            counts=_counts(plan),
            fingerprint=_fingerprint(candidates.digests, plan),
            card=_card(plan.classes, card or {}),
            report=_report(source, plan, refused, copies, options),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (folder / MANIFEST).write_text(manifest.to_json())
    return open_dataset(out)


def _card(classes: Sequence[str], texts: Mapping[str, str]) -> dict[str, str]:
    return {**(EMOTION_CARD if any(is_emotion(name) for name in classes) else {}), **texts}


def _plan(name: str, candidates: Candidates, refused: dict[str, int], options: WriteOptions) -> _Plan:
    if not candidates.digests:
        reasons = ", ".join(f"{count} {reason}" for reason, count in refused.items()) or "no images"
        raise DataError(name, "must hold images that can be read", reasons)
    classes = class_order(candidates.names)
    if len(classes) < 2:
        raise DataError(name, "must hold images of at least two classes", ", ".join(classes))
    recoded = np.array([classes.index(label) for label in candidates.names], np.int64)
    labels, groups = recoded[candidates.labels], group_identical(candidates.digests)
    splits, origin = complete_splits(
        candidates.splits, labels, groups, fraction=options.fraction, seed=options.seed
    )
    copies = evaluation_copies(groups, splits)
    kept = np.ones_like(copies) if options.keep_duplicates else ~copies
    duplicates = find_duplicates(groups, splits, labels)
    return _Plan(
        classes=classes, labels=labels, splits=splits, kept=kept, duplicates=duplicates, origin=origin
    )


def _write_splits(
    folder: Path, candidates: Candidates, plan: _Plan, rejected: RejectedFile, progress: Progress
) -> list[list[dict[str, Any]]]:
    """Copies the kept candidates to their splits; returns the members of conflicting groups with their names."""
    schema = split_schema(plan.classes)
    wanted = {row for group in plan.duplicates.conflicting for row in group}
    paths: dict[int, str] = {}
    writers = [SplitWriter(split_file(folder, split), schema) for split in SPLITS]
    start, total = 0, len(plan.labels)
    try:
        for batch in candidates.batches():
            rows = np.arange(start, start + batch.num_rows)
            images = batch.column("image")
            for number, writer in enumerate(writers):
                chosen = np.flatnonzero(plan.kept[rows] & (plan.splits[rows] == number))
                writer.add(images.take(pa.array(chosen)), plan.labels[rows[chosen]])
            rejected.add(_dropped(images, rows, plan))
            paths.update((row, images[row - start]["path"].as_py()) for row in rows.tolist() if row in wanted)
            start += batch.num_rows
            progress("writing (images)", start, total)
    finally:
        for writer in writers:
            writer.close()
    return [[_copy(row, paths[row], plan) for row in group] for group in plan.duplicates.conflicting]


def _copy(row: int, path: str, plan: _Plan) -> dict[str, Any]:
    return {
        "path": path,
        "split": SPLITS[plan.splits[row]],
        "class": plan.classes[plan.labels[row]],
        "kept": bool(plan.kept[row]),
    }


def _dropped(images: pa.StructArray, rows: Integers, plan: _Plan) -> list[Refusal]:
    chosen = np.flatnonzero(~plan.kept[rows])
    return [
        Refusal(
            path=image["path"],
            reason=COPY,
            detail=f"{SPLITS[plan.splits[row]]}, {plan.classes[plan.labels[row]]}",
            content=image["bytes"],
        )
        for row, image in zip(rows[chosen].tolist(), images.take(pa.array(chosen)).to_pylist(), strict=True)
    ]


def _counts(plan: _Plan) -> dict[str, dict[str, int]]:
    table = np.zeros((len(SPLITS), len(plan.classes)), np.int64)
    np.add.at(table, (plan.splits[plan.kept], plan.labels[plan.kept]), 1)
    return {
        split: dict(zip(plan.classes, row, strict=True))
        for split, row in zip(SPLITS, table.tolist(), strict=True)
    }


def _fingerprint(digests: Sequence[bytes], plan: _Plan) -> str:
    """One digest over the sorted (split, class name, pixels) of all kept images, whatever their order."""
    rows = sorted(
        f"{SPLITS[plan.splits[row]]}\0{plan.classes[plan.labels[row]]}\0{digests[row].hex()}\n"
        for row in np.flatnonzero(plan.kept).tolist()
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _report(
    source: Source,
    plan: _Plan,
    refused: dict[str, int],
    conflicts: list[list[dict[str, Any]]],
    options: WriteOptions,
) -> dict[str, Any]:
    read = len(plan.labels)
    found = asdict(plan.duplicates)
    found.pop("conflicting")
    dropped = {s: int((~plan.kept & (plan.splits == n)).sum()) for n, s in enumerate(SPLITS)}
    return {
        "source": {"name": source.name, **source.report()},
        "images": read + sum(refused.values()),
        "refused": refused,
        "accepted": read,
        "distinct": found.pop("distinct"),
        "kept": int(plan.kept.sum()),
        "splits": plan.origin,
        "duplicates": {
            **found,
            "copies_kept": options.keep_duplicates,
            "dropped": dropped,
            "label_conflicts": conflicts,
        },
        "warnings": _warnings(plan),
    }


def _warnings(plan: _Plan) -> list[str]:
    counts = _counts(plan)
    lacking = [f"{c} has no {split} images" for split in SPLITS for c in plan.classes if not counts[split][c]]
    unknown = [c for c in plan.classes if not is_emotion(c)]
    # A data set of other things than emotions is no reason to warn; one strange name among emotions is.
    if unknown and len(unknown) < len(plan.classes):
        lacking.append("no known emotion, kept as classes of their own: " + ", ".join(unknown))
    return lacking
