"""Class folders of image files as a source."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fer_ray.data.folder_layout import ImageFile, find_images
from fer_ray.data.image_files import (
    Target,
    UnreadableImageError,
    fit_image,
    is_colour,
    open_image,
    read_bytes,
)
from fer_ray.data.sources import ImageBatch, Refusal
from fer_ray.progress import Progress, no_progress

Channels = Literal["auto", "grey", "rgb"]

_FILES_PER_CHUNK = 256
#: Images decoded to tell whether the source is in colour, spread evenly over it.
_COLOUR_SAMPLE = 256


class FolderSource:
    """Images in class folders, made one shape.

    The size is `size` by `size`; without it, that of most images, which is the images' own where all agree (of
    sizes equally frequent, the smallest). The images are grey, unless more than half of a sample shows colour.

    Args:
        path: The folder.
        size: Height and width in pixels, or None.
        channels: ``grey`` or ``rgb`` instead of looking at a sample.
        merge_classes: Make one class of folders whose names are spellings of one emotion.
        progress: Told how many images' sizes are known.

    Raises:
        DataError: If there are no images in class folders, or the classes are not clear.
    """

    unit = "images"

    def __init__(
        self,
        path: Path,
        size: int | None = None,
        channels: Channels = "auto",
        merge_classes: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        self.path, self.name = path, path.resolve().name
        self._layout = find_images(path, merge_classes)
        self.total = len(self._layout.files)
        self._sizes = self._count_sizes(progress)
        # A source without one readable image is refused by the writer, with the reasons counted.
        common = min(self._sizes, key=lambda wh: (-self._sizes[wh], wh), default=(1, 1))
        width, height = (size, size) if size else common
        self._size_rule = f"as asked, {size}" if size else "that of most images"
        self._channel_rule, colour = self._decide_channels(channels)
        self._target = Target(height, width, 3 if colour else 1)
        self.image_shape = (height, width, self._target.channels)

    def chunks(self) -> Iterator[Sequence[ImageFile]]:
        """Lists of files."""
        for start in range(0, self.total, _FILES_PER_CHUNK):
            yield self._layout.files[start : start + _FILES_PER_CHUNK]

    def decode(self, chunk: Sequence[ImageFile]) -> ImageBatch:
        """Reads and decodes files."""
        images = np.empty((len(chunk), *self.image_shape), np.uint8)
        taken: list[tuple[ImageFile, str]] = []
        refused: list[Refusal] = []
        for file in chunk:
            content = b""
            try:
                content = read_bytes(self.path / file.path)
                if file.label is None:
                    raise UnreadableImageError("unknown label", "the image lies in no class folder")
                images[len(taken)] = fit_image(open_image(content), self._target)
                taken.append((file, file.label))
            except UnreadableImageError as error:
                refused.append(Refusal(file.path, error.reason, error.detail, content))
        return ImageBatch(
            images[: len(taken)],
            [label for _, label in taken],
            [file.split for file, _ in taken],
            [file.path for file, _ in taken],
            refused,
            len(chunk),
        )

    def report(self) -> dict[str, Any]:
        """How the folders were read and what was done to the images."""
        target = (self._target.width, self._target.height)
        return {
            "kind": "folders",
            "size": f"{self._target.height}x{self._target.width} ({self._size_rule})",
            "resized": sum(count for size, count in self._sizes.items() if size != target),
            "channels": f"{'grey' if self._target.channels == 1 else 'rgb'} ({self._channel_rule})",
            "class_folders": self._layout.renamed,
            "ignored_files": self._layout.ignored,
        }

    def _count_sizes(self, progress: Progress) -> Counter[tuple[int, int]]:
        """How many images there are of each width and height; files that cannot be opened count nowhere."""

        def size_of(file: ImageFile) -> tuple[int, int] | None:
            try:
                return open_image(read_bytes(self.path / file.path), decode=False).size
            except UnreadableImageError:
                return None

        sizes: Counter[tuple[int, int]] = Counter()
        for number, file in enumerate(self._layout.files, 1):
            size = size_of(file)
            if size:
                sizes[size] += 1
            if number % _FILES_PER_CHUNK == 0 or number == self.total:
                progress("measuring (images)", number, self.total)
        return sizes

    def _decide_channels(self, channels: Channels) -> tuple[str, bool]:
        if channels != "auto":
            return "as asked", channels == "rgb"
        step = max(1, self.total // _COLOUR_SAMPLE)
        found: list[bool] = []
        for file in self._layout.files[::step]:
            try:
                found.append(is_colour(open_image(read_bytes(self.path / file.path))))
            except UnreadableImageError:
                continue
        return f"{sum(found)} of a sample of {len(found)} show colour", sum(found) * 2 > len(found)
