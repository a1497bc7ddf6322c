"""What is looked at in every image, and counted; none of it is a reason to leave an image out.

A black picture in FER2013's test split belongs to the test split: published accuracies count it too. So these are
told, and what cannot be read is refused.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from fer_ray.data.sources import ImageBatch

RESIZED = "another size, resized"
TURNED = "turned upright by EXIF"
GREY_AS_COLOUR = "grey stored as colour, kept as grey"
COLOUR_TO_GREY = "colour made grey"
NEAR_BLACK = "near-black"
FLAT = "without contrast"

#: An image is near-black if its brightest value is below this, a tenth of the range, and without contrast if its
#: values differ by less than this many levels, the noise of a JPEG: neither can show a face.
DARKEST_PEAK, LEAST_CONTRAST = 26, 8
#: So many of the images that show no face are named in the report.
_NAMED = 100


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
        self.counts.update(batch.found)
        if not len(batch.images):
            return
        flat = batch.images.reshape(len(batch.images), -1)
        high, low = flat.max(axis=1), flat.min(axis=1)
        dark = high < DARKEST_PEAK
        level = ~dark & (high - low < LEAST_CONTRAST)
        self.counts.update({NEAR_BLACK: int(dark.sum()), FLAT: int(level.sum())})
        shown = [batch.paths[row] for row in np.flatnonzero(dark | level).tolist()]
        self.faceless.extend(shown[: _NAMED - len(self.faceless)])

    def found(self) -> dict[str, int]:
        """The counts that are not zero."""
        return {name: count for name, count in sorted(self.counts.items()) if count}
