"""Reads image files of any kind into grey or colour pixels, and says why where it cannot."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_ray.data.places import LFS_POINTER
from fer_ray.pixels import Pixels

#: The largest file that is read as one image.
MOST_BYTES = 64 << 20
#: Mean difference of the colour channels, in grey levels, from which an image is in colour; the chroma noise of
#: grey pictures stored as colour JPEG stays below 2.
_COLOUR_DIFFERENCE = 4.0
#: So many pixels a side tell whether an image is in colour.
_COLOUR_SIDE = 64
_ORIENTATION = 0x0112


class UnreadableImageError(Exception):
    """A file that is no whole image; `reason` is one of few, `detail` what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Target:
    """What every image of a data set is made into: height, width, and 1 (grey) or 3 channels (RGB)."""

    height: int
    width: int
    channels: int


def check_bytes(content: bytes | OSError) -> bytes:
    """Refuses what can be told from a file's first bytes.

    Raises:
        UnreadableImageError: If the file could not be read, is empty or a Git LFS pointer.
    """
    if isinstance(content, OSError):
        raise UnreadableImageError("unreadable", str(content)) from content
    if not content:
        raise UnreadableImageError("zero-byte", "the file is empty")
    if content.startswith(LFS_POINTER):
        raise UnreadableImageError("LFS pointer", "fetch the file with `git lfs pull`")
    return content


def open_image(content: bytes) -> Image.Image:
    """Opens an image, upright.

    Raises:
        UnreadableImageError: If the bytes are no whole image.
    """
    return open_turned(content)[0]


def open_turned(content: bytes) -> tuple[Image.Image, bool]:
    """Opens an image like `open_image`, and says whether EXIF had it turned.

    Raises:
        UnreadableImageError: If the bytes are no whole image.
    """
    try:
        image = Image.open(BytesIO(content))
        turned = _orientation(image) != 1
        image.load()
        return (ImageOps.exif_transpose(image) if turned else image), turned
    except UnidentifiedImageError as error:
        raise UnreadableImageError("unreadable", "no known image format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError("too many pixels", str(error)) from error
    except Exception as error:  # Pillow's plug-ins raise what their formats' parsers happen to raise
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise UnreadableImageError(reason, f"{type(error).__name__}: {error}") from error


def upright_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of an image as it is seen, from the beginning of its file; None if that does not tell."""
    try:
        image = Image.open(BytesIO(content))
        width, height = image.size
        # Pillow turns TIFF images itself.
        turned = image.format != "TIFF" and _orientation(image) in {5, 6, 7, 8}
        return (height, width) if turned else (width, height)
    except Exception:  # as above; what cannot be opened is refused when its pixels are read
        return None


def _orientation(image: Image.Image) -> int:
    """EXIF's code of how the image is to be turned; 1 is upright, and so is what is no such code."""
    if "exif" not in image.info and image.format != "TIFF":
        return 1
    code = image.getexif().get(_ORIENTATION, 1)
    return code if code in range(1, 9) else 1


def is_colour(image: Image.Image) -> bool:
    """Whether an image shows colour, not only a colour format; looks at no more than 64 x 64 of its pixels."""
    if is_grey_format(image):
        return False
    side = (min(image.width, _COLOUR_SIDE), min(image.height, _COLOUR_SIDE))
    sample = image.resize(side, Image.Resampling.NEAREST) if image.size != side else image
    small = np.asarray(sample.convert("RGB"), np.int16)
    return float(np.abs(small - np.roll(small, 1, axis=2)).mean()) > _COLOUR_DIFFERENCE


def is_grey_format(image: Image.Image) -> bool:
    """Whether an image's format has no colours."""
    return image.mode in {"1", "L", "LA", "I", "F"} or image.mode.startswith("I;")


def fit_image(image: Image.Image, target: Target) -> Pixels:
    """Makes an image what the data set holds.

    Transparency is dropped. Another shape is cropped centrally to the target's proportions, then resized with
    an antialiased Lanczos filter; an image of the target's size is left as it is.

    Returns:
        uint8, shape (height, width, channels).
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    image = image.convert("L" if target.channels == 1 else "RGB")
    if image.size != (target.width, target.height):
        image = ImageOps.fit(image, (target.width, target.height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(target.height, target.width, target.channels)
