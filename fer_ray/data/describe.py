"""A data set in words and tables, for the terminal and for its page."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from itertools import combinations
from math import prod
from typing import Any

from fer_ray.data.dataset import Dataset
from fer_ray.data.schema import SPLITS, split_file

#: Largest class over smallest, and what that is called.
_BALANCE = (
    (1.5, "nearly even"),
    (3, "mildly unbalanced"),
    (10, "unbalanced"),
    (float("inf"), "very unbalanced"),
)


def to_dict(data: Dataset) -> dict[str, Any]:
    """Everything that is known about a data set, ready for JSON."""
    known = {each.name: getattr(data, each.name) for each in fields(data) if each.name != "files"}
    return {"path": data.files.where, **known}


def count_rows(data: Dataset) -> list[dict[str, Any]]:
    """One row per class with its images in each split, and one of totals."""
    rows = [{"class": name, **{s: data.counts[s][name] for s in SPLITS}} for name in data.classes]
    rows.append({"class": "all", **{s: sum(data.counts[s].values()) for s in SPLITS}})
    return [{**row, "all": sum(row[s] for s in SPLITS)} for row in rows]


def size_rows(data: Dataset) -> list[dict[str, Any]]:
    """One row per split with its bytes on disk, and decoded in memory; one of totals."""
    rows = [
        {
            "split": split,
            "images": sum(data.counts[split].values()),
            "disk": data.files.size(split_file(split)) or 0,
            "memory": sum(data.counts[split].values()) * prod(data.image_shape),
        }
        for split in SPLITS
    ]
    return [
        *rows,
        {"split": "all", **{key: sum(r[key] for r in rows) for key in ("images", "disk", "memory")}},
    ]


def image_words(data: Dataset) -> str:
    """Height, width and channels, such as ``48x48, grey``."""
    height, width, channels = data.image_shape
    return f"{height}x{width}, {'grey' if channels == 1 else 'colour'}"


def source_words(data: Dataset) -> Iterator[tuple[str, str]]:
    """What the import says of its source, a name and a text each; what is empty is left out."""
    for key, value in data.report["source"].items():
        if value:
            yield key, _text(value)


def balance_words(data: Dataset) -> str:
    """How unequal the classes are in training."""
    counts = data.counts["train"]
    largest, smallest = _largest(data), min(counts, key=lambda name: counts[name])
    if not counts[smallest]:
        return f"the classes are very unbalanced: {smallest} has no training image"
    ratio = counts[largest] / counts[smallest]
    name = next(name for limit, name in _BALANCE if ratio <= limit)
    times = f"{largest} has {ratio:.1f} times the training images of {smallest}"
    return f"the classes are {name}: {times} ({counts[largest]:,} to {counts[smallest]:,})"


def guess_words(data: Dataset) -> str:
    """What always answering the largest training class would score; empty if there is nothing to evaluate on."""
    largest = _largest(data)
    scores = [
        f"{data.counts[split][largest] / total:.1%} of {split}"
        for split in SPLITS[1:]
        if (total := sum(data.counts[split].values()))
    ]
    return f"always answering {largest} is right for {' and '.join(scores)}" if scores else ""


def shares_words(data: Dataset) -> str:
    """Where a class's share differs most between two splits, in percentage points; empty if one has all images."""
    totals = {split: total for split in SPLITS if (total := sum(data.counts[split].values()))}
    shares = {split: {c: n / totals[split] for c, n in data.counts[split].items()} for split in totals}
    gaps = [
        (abs(shares[a][name] - shares[b][name]), f"{name}, {a} and {b}")
        for a, b in combinations(totals, 2)
        for name in data.classes
    ]
    if not gaps:
        return ""
    gap, where = max(gaps, key=lambda found: found[0])
    return f"a class's share differs by at most {100 * gap:.1f} percentage points between splits ({where})"


def copies_words(data: Dataset) -> str:
    """How many images are copies of another, and what became of them."""
    report, found = data.report, data.report["duplicates"]
    text = f"{found['redundant']:,} of {report['accepted']:,} images are copies of another, to the pixel"
    if found["copies_kept"]:
        return f"{text}; those across splits were kept, as asked, so scores on them are too good"
    dropped, left = sum(found["dropped"].values()), report["kept"] - report["distinct"]
    return f"{text}; {dropped:,} were dropped because a later split has them, {left:,} are left within their split"


def conflict_rows(data: Dataset) -> list[tuple[str, int]]:
    """Which labels identical images have, and how many distinct images have them; the most frequent first."""
    order = {name: number for number, name in enumerate(data.classes)}
    labels = (
        sorted({copy["class"] for copy in group}, key=lambda c: order[c])
        for group in data.report["duplicates"]["label_conflicts"]
    )
    return Counter(" / ".join(names) for names in labels).most_common()


def summary_lines(data: Dataset) -> Iterator[str]:
    """The import report, a line for each thing that a reader should know."""
    report, found = data.report, data.report["duplicates"]
    sizes = size_rows(data)[-1]
    yield f"Images: {image_words(data)}; fingerprint {data.fingerprint}"
    yield f"Size: {megabytes(sizes['disk'])} on disk, {megabytes(sizes['memory'])} decoded"
    yield from (sentence(text) for text in (balance_words(data), guess_words(data)) if text)
    yield "Source: " + "; ".join(f"{key} {text}" for key, text in source_words(data))
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


def megabytes(size: int) -> str:
    """A size in bytes as text, such as ``68.6 MB``; a megabyte is a million bytes."""
    return f"{size / 1e6:,.1f} MB"


def sentence(text: str) -> str:
    """Text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def _largest(data: Dataset) -> str:
    counts = data.counts["train"]
    return max(counts, key=lambda name: counts[name])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
