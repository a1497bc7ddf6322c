"""Reads image files of any kind into grey or colour pixels, and says why where it cannot."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_ray.pixels import Pixels

#: The start of the text file that Git LFS leaves where a file was not fetched.
LFS_POINTER = b"version https://git-lfs"
#: Mean difference of the colour channels, in grey levels, from which an image is in colour; the chroma noise of
#: grey pictures stored as colour JPEG stays below 2.
_COLOUR_DIFFERENCE = 4.0


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


def read_bytes(path: Path) -> bytes:
    """Reads a file, and refuses what can be told from its first bytes.

    Raises:
        UnreadableImageError: If the file cannot be read, is empty or a Git LFS pointer.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError("unreadable", str(error)) from error
    if not content:
        raise UnreadableImageError("zero-byte", "the file is empty")
    if content.startswith(LFS_POINTER):
        raise UnreadableImageError("LFS pointer", "fetch the file with `git lfs pull`")
    return content


def open_image(content: bytes, decode: bool = True) -> Image.Image:
    """Opens an image, upright; without `decode` its pixels are read only when they are asked for.

    Raises:
        UnreadableImageError: If the bytes are no whole image.
    """
    try:
        image = Image.open(BytesIO(content))
        if not decode:
            return image
        image.load()
        return ImageOps.exif_transpose(image) if "exif" in image.info else image
    except UnidentifiedImageError as error:
        raise UnreadableImageError("unreadable", "no known image format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError("too many pixels", str(error)) from error
    except Exception as error:  # Pillow's plug-ins raise what their formats' parsers happen to raise
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise UnreadableImageError(reason, f"{type(error).__name__}: {error}") from error


def is_colour(image: Image.Image) -> bool:
    """Whether an image shows colour, not only a colour format."""
    if image.mode in {"1", "L", "LA", "I", "F"} or image.mode.startswith("I;"):
        return False
    small = np.asarray(image.convert("RGB"), np.int16)
    return float(np.abs(small - np.roll(small, 1, axis=2)).mean()) > _COLOUR_DIFFERENCE


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
