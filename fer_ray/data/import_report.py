"""What an import found and did, as it stands in `dataset.json`; every image of the source is counted in it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fer_ray.data.candidates import Candidates
from fer_ray.data.labels import is_emotion
from fer_ray.data.options import WriteOptions
from fer_ray.data.plan import Plan
from fer_ray.data.schema import SPLITS
from fer_ray.data.sources import Source


def import_report(
    source: Source,
    candidates: Candidates,
    plan: Plan,
    refused: Mapping[str, int],
    conflicts: list[list[dict[str, Any]]],
    options: WriteOptions,
) -> dict[str, Any]:
    """Makes the report.

    Args:
        source: After its last chunk.
        candidates: The images that could be read.
        plan: Where they went.
        refused: Those that could not, by reason.
        conflicts: The copies of each image whose labels disagree.
        options: What was asked for.
    """
    read, left_out = len(plan.labels), dict(sorted(candidates.left_out.items()))
    found = asdict(plan.duplicates)
    found.pop("conflicting")
    dropped = {s: int((~plan.kept & (plan.splits == n)).sum()) for n, s in enumerate(SPLITS)}
    return {
        "source": {"name": source.name, **source.report()},
        "images": read + sum(refused.values()) + sum(left_out.values()),
        "refused": dict(refused),
        "left_out": left_out,
        "accepted": read,
        "distinct": found.pop("distinct"),
        "kept": int(plan.kept.sum()),
        "splits": plan.origin,
        "unsplit": plan.unsplit,
        "subjects": {
            "distinct": len(candidates.subject_names),
            "images": int((candidates.subjects >= 0).sum()),
            "in_several_splits": plan.straddling,
        },
        "soft_labels": sum(label is not None for label in candidates.soft_labels),
        "checks": candidates.checks.found(),
        "faceless": candidates.checks.faceless,
        "duplicates": {
            **found,
            "copies_kept": options.keep_duplicates,
            "dropped": dropped,
            "label_conflicts": conflicts,
        },
        "warnings": list(_warnings(plan, candidates)),
    }


def _warnings(plan: Plan, candidates: Candidates) -> list[str]:
    counts = plan.counts()
    told = [f"{c} has no {split} images" for split in SPLITS for c in plan.classes if not counts[split][c]]
    unknown = [c for c in plan.classes if not is_emotion(c)]
    # A data set of other things than emotions is no reason to warn; one strange name among emotions is.
    if unknown and len(unknown) < len(plan.classes):
        told.append("no known emotion, kept as classes of their own: " + ", ".join(unknown))
    if plan.straddling:
        told.append(
            f"{plan.straddling:,} people are shown in more than one split; --split makes splits that part them"
        )
    if plan.unsplit:
        told.append(f"{plan.unsplit:,} images without a split, used for training")
    if candidates.checks.faceless:
        told.append(
            "images that can show no face, near-black or without contrast, are kept; dataset.json names them"
        )
    return told
