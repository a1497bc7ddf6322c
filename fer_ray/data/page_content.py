"""What a data set's page says, and its HTML."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pyarrow.parquet as pq

import fer_ray
from fer_ray.data import describe
from fer_ray.data.checks import DARKEST_PEAK, LEAST_CONTRAST
from fer_ray.data.dataset import Dataset
from fer_ray.data.schema import REJECTED, SPLITS
from fer_ray.data.shown import Augmented, thumbnail
from fer_ray.data.survey import Survey
from fer_ray.errors import DataError

#: Refused images that are named for each reason, and conflicts that are seen without opening a fold.
_EXAMPLES, _OPEN_CONFLICTS = 5, 12


def render(
    data: Dataset,
    found: Survey,
    augmented: Sequence[Augmented],
    *,
    charts: Mapping[str, tuple[str, str]],
    files: Sequence[str],
    faces: bool,
    seed: int,
) -> str:
    """The page as HTML; it refers to nothing outside itself.

    Args:
        data: The data set.
        found: What was seen of it.
        augmented: Versions of `found.originals()`.
        charts: Data URIs by name, for light and for dark.
        files: Names of the figures beside the page.
        faces: Whether images are shown and files named.
        seed: Of the samples.

    Raises:
        DataError: If `rejected.parquet` is broken.
    """
    template = (resources.files("fer_ray.data") / "page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        thumbnail=thumbnail, megabytes=describe.megabytes, sentence=describe.sentence, thousands=_thousands
    )
    return environment.from_string(template).render(
        data=data,
        describe=describe,
        splits=SPLITS,
        found=found,
        charts=charts,
        faces=faces,
        seed=seed,
        refused=_refusals(data, faces),
        means=_means(found) if faces else [],
        conflicts=found.conflicts if faces else [],
        open_conflicts=_OPEN_CONFLICTS,
        policies=augmented,
        versions=_versions(found, augmented),
        brightness=_brightness_rows(found),
        darkest_peak=DARKEST_PEAK,
        least_contrast=LEAST_CONTRAST,
        files=files,
        version=fer_ray.__version__,
        made=datetime.now(UTC).isoformat(timespec="minutes"),
    )


def _thousands(number: int) -> str:
    return f"{number:,}"


def _means(found: Survey) -> list[dict[str, Any]]:
    measured = dict(zip(found.classes, found.splits["train"].measured.tolist(), strict=True))
    return [
        {"name": name, "images": measured[name], "image": image}
        for name, image in found.mean_images().items()
    ]


def _versions(found: Survey, augmented: Sequence[Augmented]) -> list[dict[str, Any]]:
    """Each original with its versions by policy."""
    return [
        {"face": face, "groups": [{"name": each.name, "images": each.images[number]} for each in augmented]}
        for number, face in enumerate(found.originals())
    ]


def _refusals(data: Dataset, with_names: bool) -> list[dict[str, Any]]:
    """Each reason, how many images were refused for it, and some of them by name."""
    counts: Mapping[str, int] = data.report["refused"]
    examples: dict[str, list[str]] = {reason: [] for reason in counts}
    if with_names and counts and data.files.exists([REJECTED])[0]:
        path, columns = data.files.full(REJECTED), ["path", "reason", "detail"]
        try:
            rows = pq.read_table(path, columns=columns, filesystem=data.files.filesystem).to_pylist()
        except (OSError, ValueError) as error:
            where, rule = f"{data.files.where}/{REJECTED}", "must be a whole file of refused images"
            raise DataError(where, rule, str(error)) from error
        for row in rows:
            # Copies of evaluation images lie there too; they are no refusals, and have a section of their own.
            named = examples.get(row["reason"])
            if named is not None and len(named) < _EXAMPLES:
                named.append(f"{row['path']}: {row['detail']}" if row["detail"] else row["path"])
    return [{"reason": reason, "images": n, "examples": examples[reason]} for reason, n in counts.items()]


def _brightness_rows(found: Survey) -> list[dict[str, Any]]:
    """One row per split that has images."""
    from scipy.stats import ks_2samp

    train = found.splits["train"].brightness
    rows = []
    for split, seen in found.splits.items():
        if not len(seen.brightness):
            continue
        low, middle, high = np.percentile(seen.brightness, [5, 50, 95])
        rows.append(
            {
                "split": split,
                "images": seen.images,
                "measured": len(seen.brightness),
                "median": f"{middle:.0f}",
                "range": f"{low:.0f} to {high:.0f}",
                "contrast": f"{np.median(seen.contrast):.0f}",
                "distance": "–" if split == "train" else f"{ks_2samp(train, seen.brightness).statistic:.3f}",
                "blank": seen.blank_images,
            }
        )
    return rows
