"""Writes a data set from any source: candidates, duplicates, splits, Parquet, description."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fer_ray.data.candidates import Candidates, collect
from fer_ray.data.card_texts import EMOTION_CARD
from fer_ray.data.dataset import Dataset, open_dataset
from fer_ray.data.duplicates import Integers
from fer_ray.data.folders import new_dataset_folder
from fer_ray.data.import_report import import_report
from fer_ray.data.labels import is_emotion
from fer_ray.data.options import WriteOptions
from fer_ray.data.parquet_files import RejectedFile, SplitWriter
from fer_ray.data.plan import Plan, make_plan
from fer_ray.data.schema import (
    MANIFEST,
    REJECTED,
    SPLITS,
    Manifest,
    split_file,
    split_schema,
)
from fer_ray.data.sources import Refusal, Source
from fer_ray.progress import Progress, no_progress

COPY = "copy of an evaluation image"


def write_dataset(
    source: Source,
    out: str | Path,
    *,
    name: str,
    card: Mapping[str, str] | None = None,
    options: WriteOptions | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Writes a data set to the folder `out`, which holds a whole one or none.

    Args:
        source: Where the images come from.
        out: The folder; a path, or a URI that pyarrow writes (``s3://bucket/faces``).
        name: Of the data set.
        card: Texts for model cards, in place of the source's and of those that every data set of emotions gets.
        options: Classes, splits, subjects, duplicates, overwriting.
        progress: Told how far the work is.

    Raises:
        DataError: If `out` may not be written, or the source holds no usable images.
    """
    options = options or WriteOptions()
    with new_dataset_folder(out, options.overwrite, progress) as folder:
        rejected = RejectedFile(folder / REJECTED)
        try:
            candidates = collect(source, folder / "candidates.arrow", rejected, options, progress)
            refused = dict(rejected.counts)
            plan = make_plan(source.name, candidates, refused, options)
            copies = _write_splits(folder, candidates, plan, rejected, progress)
        finally:
            rejected.close()
        candidates.path.unlink()
        manifest = Manifest(
            name=name,
            classes=plan.classes,
            image_shape=source.image_shape,
            counts=plan.counts(),
            fingerprint=_fingerprint(candidates.digests, plan),
            card=_card(plan.classes, {**source.card, **(card or {})}),
            report=import_report(source, candidates, plan, refused, copies, options),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (folder / MANIFEST).write_text(manifest.to_json())
    return open_dataset(out)


def _card(classes: Sequence[str], texts: Mapping[str, str]) -> dict[str, str]:
    return {**(EMOTION_CARD if any(is_emotion(name) for name in classes) else {}), **texts}


def _write_splits(
    folder: Path, candidates: Candidates, plan: Plan, rejected: RejectedFile, progress: Progress
) -> list[list[dict[str, Any]]]:
    """Copies the kept candidates to their splits; returns the members of conflicting groups with their names."""
    schema = split_schema(plan.classes, plan.soft_labels is not None)
    wanted = {row for group in plan.duplicates.conflicting for row in group}
    paths: dict[int, str] = {}
    writers = [SplitWriter(folder / split_file(split), schema) for split in SPLITS]
    start, total = 0, len(plan.labels)
    try:
        for batch in candidates.batches():
            rows = np.arange(start, start + batch.num_rows)
            images = batch.column("image")
            for number, writer in enumerate(writers):
                chosen = np.flatnonzero(plan.kept[rows] & (plan.splits[rows] == number))
                shares = None if plan.soft_labels is None else plan.soft_labels[rows[chosen]]
                writer.add(images.take(pa.array(chosen)), plan.labels[rows[chosen]], shares)
            rejected.add(_dropped(images, rows, plan))
            paths.update((row, images[row - start]["path"].as_py()) for row in rows.tolist() if row in wanted)
            start += batch.num_rows
            progress("writing (images)", start, total)
    finally:
        for writer in writers:
            writer.close()
    return [[_copy(row, paths[row], plan) for row in group] for group in plan.duplicates.conflicting]


def _copy(row: int, path: str, plan: Plan) -> dict[str, Any]:
    return {
        "path": path,
        "split": SPLITS[plan.splits[row]],
        "class": plan.classes[plan.labels[row]],
        "kept": bool(plan.kept[row]),
    }


def _dropped(images: pa.StructArray, rows: Integers, plan: Plan) -> list[Refusal]:
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


def _fingerprint(digests: Sequence[bytes], plan: Plan) -> str:
    """One digest over the sorted (split, class name, pixels) of all kept images, whatever their order.

    Soft labels, where there are any, stand behind the pixels.
    """
    rows = sorted(
        f"{SPLITS[plan.splits[row]]}\0{plan.classes[plan.labels[row]]}\0{digests[row].hex()}{_shares(plan, row)}\n"
        for row in np.flatnonzero(plan.kept).tolist()
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _shares(plan: Plan, row: int) -> str:
    return "" if plan.soft_labels is None else f"\0{plan.soft_labels[row].tobytes().hex()}"
