"""The one face crop: what is imported, trained on and served is cut out by the same code."""

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import DataError

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def face_square(height: int, width: int, box: Box, margin: float = 0.1) -> tuple[int, int, int]:
    """The square that `crop_face` cuts out of an image of this size: its left, its top and its side, in pixels.

    Raises:
        DataError: If the box has no area or does not touch the image.
    """
    left, top, right, bottom = box
    if right <= left or bottom <= top or left >= width or top >= height or right <= 0 or bottom <= 0:
        raise DataError(
            "face box", "must have an area inside the image", f"{box} of a {width}x{height} image"
        )
    side = min(round(max(right - left, bottom - top) * (1 + 2 * margin)), height, width)
    x = min(max((left + right - side) // 2, 0), width - side)
    y = min(max((top + bottom - side) // 2, 0), height - side)
    return x, y, side


def crop_face(image: Pixels, box: Box, margin: float = 0.1) -> Pixels:
    """Cuts a square around a face, with a margin, clamped to the image.

    A square keeps the face's proportions when it is resized; clamping shifts the square inwards before it
    shrinks it, so that a face at the border stays centred as far as the image allows.

    Args:
        image: uint8, shape (H, W, C).
        box: Left, top, right, bottom in pixels; right and bottom are exclusive.
        margin: Added on each side, as a fraction of the box's longer side, 0 to 1.

    Returns:
        A view of `image`, shape (S, S, C), where S is at most min(H, W).

    Raises:
        DataError: If the box has no area or does not touch the image.
    """
    x, y, side = face_square(image.shape[0], image.shape[1], box, margin)
    return image[y : y + side, x : x + side]
