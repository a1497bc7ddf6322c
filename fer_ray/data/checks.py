"""What is looked at in every image, and counted; none of it is a reason to leave an image out.

A black picture in FER2013's test split belongs to the test split: published accuracies count it too. So these are
told, and what cannot be read is refused.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from fer_ray.data.duplicates import Mask
from fer_ray.data.sources import ImageBatch
from fer_ray.pixels import Pixels

RESIZED = "another size, resized"
TURNED = "turned upright by EXIF"
GREY_AS_COLOUR = "grey stored as colour, kept as grey"
COLOUR_TO_GREY = "colour made grey"
GREY_AMONG_COLOUR = "grey in a data set in colour, kept as RGB"
NEAR_BLACK = "near-black"
FLAT = "without contrast"

#: An image is near-black if its brightest value is below this, a tenth of the range, and without contrast if its
#: values differ by less than this many levels, the noise of a JPEG: neither can show a face.
DARKEST_PEAK, LEAST_CONTRAST = 26, 8
#: So many of the images that show no face are named in the report.
_NAMED = 100


def find_faceless(images: Pixels) -> tuple[Mask, Mask]:
    """The images that can show no face: masks of those that are near-black, and of others without contrast.

    Args:
        images: uint8, shape (N, H, W, C), N at least 1.
    """
    flat = images.reshape(len(images), -1)
    high, low = flat.max(axis=1), flat.min(axis=1)
    dark: Mask = high < DARKEST_PEAK
    level: Mask = ~dark & (high - low < LEAST_CONTRAST)
    return dark, level


@dataclass
class Checks:
    """What was found in the images of a source.

    Args:
        counts: Images by what was found in them.
        faceless: The first hundred that are near-black or without contrast, by name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faceless: list[str] = field(default_factory=list)

    def add(self, batch: ImageBatch) -> None:
        """Counts what a batch's source found, and the images that can show no face."""
        self.counts.update(name for names in batch.found for name in names)
        if not len(batch.images):
            return
        dark, level = find_faceless(batch.images)
        self.counts.update({NEAR_BLACK: int(dark.sum()), FLAT: int(level.sum())})
        shown = [batch.paths[row] for row in np.flatnonzero(dark | level).tolist()]
        self.faceless.extend(shown[: _NAMED - len(self.faceless)])

    def found(self) -> dict[str, int]:
        """The counts that are not zero."""
        return {name: count for name, count in sorted(self.counts.items()) if count}
