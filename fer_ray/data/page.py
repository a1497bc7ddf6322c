"""A data set as one HTML page with its figures, and the figures as PNG beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_ray.data import figures
from fer_ray.data.dataset import Dataset
from fer_ray.data.folders import check_target, new_folder
from fer_ray.data.page_content import render
from fer_ray.data.schema import SPLITS
from fer_ray.data.shown import Augment, Augmented, data_uri, shrink
from fer_ray.data.survey import Survey, survey
from fer_ray.errors import ConfigError
from fer_ray.progress import Progress, no_progress

PAGE = "index.html"
CHARTS = ("class_distribution.png", "brightness.png")
SHEETS = ("samples.png", "mean_images.png", "augmented.png")
_KIND = "an earlier page"
#: Augmented versions of each image.
_COPIES = 4


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What is shown of a data set.

    Args:
        images: Samples per class and split, at least 1.
        seed: Of the samples and of the augmentation.
        faces: Whether to show images and their names; without, there are counts and charts only.
        augment: Makes augmented samples; None leaves them out.
        overwrite: Replace a page that is already there.
    """

    images: int = 6
    seed: int = 0
    faces: bool = True
    augment: Augment | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ConfigError("images", "must be at least 1", str(self.images))


def write_page(
    data: Dataset, out: Path, options: PageOptions | None = None, progress: Progress = no_progress
) -> Path:
    """Writes `index.html`, which needs no other file, and its figures as PNG to the folder `out`.

    Args:
        data: The data set.
        out: The folder; it is whole or not there.
        options: What is shown.
        progress: Told how far the work is.

    Returns:
        The page's path.

    Raises:
        DataError: If `out` may not be written, or a file of the data set is broken.
    """
    options = options or PageOptions()
    check_target(out, options.overwrite, _is_page, _KIND)
    found = survey(data, images=options.images if options.faces else 0, seed=options.seed, progress=progress)
    augmented = _augmented(found, options, progress)
    with new_folder(out, options.overwrite, _is_page, _KIND) as folder:
        charts = _write_charts(data, found, folder, progress)
        if options.faces:
            _write_sheets(found, augmented, folder)
        names = sorted(path.name for path in folder.iterdir())
        page = render(
            data, found, augmented, charts=charts, files=names, faces=options.faces, seed=options.seed
        )
        (folder / PAGE).write_text(page, encoding="utf-8")
    return out / PAGE


def _is_page(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    return PAGE in names and names <= {PAGE, *CHARTS, *SHEETS}


def _augmented(found: Survey, options: PageOptions, progress: Progress) -> Sequence[Augmented]:
    originals = found.originals()
    if options.augment is None or not originals:
        return []
    stage = "augmenting (images)"
    progress(stage, 0, len(originals))
    made = options.augment(np.stack([face.image for face in originals]), _COPIES, options.seed)
    progress(stage, len(originals), len(originals))
    return made


def _write_charts(
    data: Dataset, found: Survey, folder: Path, progress: Progress
) -> dict[str, tuple[str, str]]:
    """Draws each chart for light and dark, and writes the light one; returns both as data URIs, by name."""
    draw: list[Callable[[figures.Theme], bytes]] = [
        lambda theme: figures.class_distribution(data, found.classes, theme),
        lambda theme: figures.brightness(found, theme),
    ]
    charts = {}
    for number, (name, chart) in enumerate(zip(CHARTS, draw, strict=True), 1):
        light, dark = chart(figures.LIGHT), chart(figures.DARK)
        (folder / name).write_bytes(light)
        charts[name.removesuffix(".png")] = (data_uri(light), data_uri(dark))
        progress("drawing (charts)", number, len(draw))
    return charts


def _write_sheets(found: Survey, augmented: Sequence[Augmented], folder: Path) -> None:
    samples = {
        name: [[shrink(face.image) for face in found.splits[split].samples[name]] for split in SPLITS]
        for name in found.classes
    }
    means = {name: [[shrink(image)]] for name, image in found.mean_images().items()}
    (folder / "samples.png").write_bytes(figures.sheet(samples, SPLITS))
    (folder / "mean_images.png").write_bytes(figures.sheet(means, ["mean"]))
    if augmented:
        versions = {
            face.label: [[shrink(face.image)], *([shrink(i) for i in each.images[n]] for each in augmented)]
            for n, face in enumerate(found.originals())
        }
        groups = ["original", *(each.name for each in augmented)]
        (folder / "augmented.png").write_bytes(figures.sheet(versions, groups))
