"""Images that a page shows, and what it says of them."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from fer_ray.data.images import resize
from fer_ray.pixels import Pixels

#: Larger images are shown at this side, in pixels.
_SIDE = 96


@dataclass(frozen=True, kw_only=True)
class Face:
    """An image to be shown.

    Args:
        image: uint8, shape (H, W, C).
        path: Its name in the source.
        split: Where it lies.
        label: The name of its class.
    """

    image: Pixels = field(repr=False)
    path: str
    split: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Identical images whose labels disagree.

    Args:
        image: uint8, shape (H, W, C); one stands for all.
        copies: ``path``, ``split``, ``class`` and ``kept`` of each, as the import report has them.
    """

    image: Pixels = field(repr=False)
    copies: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Augmented:
    """Images as a model sees them in training.

    Args:
        name: Of the policy, such as ``default``.
        strength: What it does and how much, in words.
        images: uint8, shape (N, copies, H, W, C): some versions of each of N images.
    """

    name: str
    strength: dict[str, str]
    images: Pixels = field(repr=False)


#: Called as ``augment(images, copies, seed)`` with uint8 images (N, H, W, C).
Augment = Callable[[Pixels, int, int], Sequence[Augmented]]


def shrink(image: Pixels) -> Pixels:
    """The image, at most 96 pixels wide and high, uint8 (H, W, C)."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    small: Pixels = resize(image[None], max(1, round(height * scale)), max(1, round(width * scale)))[0]
    return small


def thumbnail(image: Pixels) -> str:
    """The shrunk image as a data URI: PNG as it is, JPEG, a quarter of the size, if it had to shrink."""
    small = shrink(image)
    buffer, kind = io.BytesIO(), "png" if small.shape == image.shape else "jpeg"
    Image.fromarray(small[:, :, 0] if small.shape[2] == 1 else small).save(buffer, kind, optimize=True)
    return data_uri(buffer.getvalue(), kind)


def data_uri(content: bytes, kind: str = "png") -> str:
    """An image file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
