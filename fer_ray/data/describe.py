"""A data set in words and tables, for the terminal."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fer_ray.data.dataset import Dataset
from fer_ray.data.schema import SPLITS


def to_dict(data: Dataset) -> dict[str, Any]:
    """Everything that is known about a data set, ready for JSON."""
    return {**asdict(data), "path": str(data.path)}


def count_rows(data: Dataset) -> list[dict[str, Any]]:
    """One row per class with its images in each split, and one of totals."""
    rows = [{"class": name, **{s: data.counts[s][name] for s in SPLITS}} for name in data.classes]
    rows.append({"class": "all", **{s: sum(data.counts[s].values()) for s in SPLITS}})
    return [{**row, "all": sum(row[s] for s in SPLITS)} for row in rows]


def summary_lines(data: Dataset) -> Iterator[str]:
    """The import report, a line for each thing that a reader should know."""
    report, found = data.report, data.report["duplicates"]
    height, width, channels = data.image_shape
    yield f"Images: {height}x{width}, {'grey' if channels == 1 else 'colour'}; fingerprint {data.fingerprint}"
    yield "Source: " + "; ".join(f"{key} {_text(value)}" for key, value in report["source"].items() if value)
    yield (
        f"Found {report['images']:,} images, refused {sum(report['refused'].values()):,}, "
        f"{report['distinct']:,} distinct, kept {report['kept']:,}"
    )
    for reason, count in report["refused"].items():
        yield f"  refused, {reason}: {count:,}"
    if report.get("left_out"):
        yield "  of classes not asked for: " + _text({c: f"{n:,}" for c, n in report["left_out"].items()})
    yield f"Splits: {report['splits']}"
    people = report.get("subjects", {})
    if people.get("distinct"):
        yield f"People: {people['distinct']:,} in {people['images']:,} images"
    if report.get("soft_labels"):
        yield f"Soft labels: of {report['soft_labels']:,} images"
    if report.get("checks"):
        yield "Checks: " + _text({found: f"{count:,}" for found, count in report["checks"].items()})
    across = ", ".join(f"{count:,} in {pair}" for pair, count in found["across"].items())
    yield (
        f"Copies: {found['redundant']:,} in {found['groups']:,} groups ({across}); labels disagree in "
        f"{len(found['label_conflicts']):,} groups"
    )
    dropped = ", ".join(f"{count:,} from {split}" for split, count in found["dropped"].items() if count)
    yield "  copies of evaluation images: " + (
        "kept, as asked" if found["copies_kept"] else f"dropped {dropped or 'none'}"
    )
    for warning in report["warnings"]:
        yield f"Warning: {warning}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
