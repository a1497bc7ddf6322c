"""Single images: lossless encoding, decoding, and the digest that finds copies."""

import hashlib
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from fer_ray.errors import DataError
from fer_ray.pixels import Pixels


def encode_png(image: Pixels) -> bytes:
    """Encodes one image, uint8 (H, W, C) with C 1 or 3, without loss.

    The PNG filters its rows and leaves the compression to the Parquet file: measured on FER2013, that is 5% smaller
    than PNG's own, encodes in half the time and decodes in two thirds.
    """
    buffer = BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def decode_png_into(target: Pixels, content: bytes) -> None:
    """Decodes a PNG into `target`, uint8 (H, W, C); the plug-in is called directly, which saves a tenth.

    Raises:
        DataError: If the bytes are no PNG of the target's shape.
    """
    try:
        pixels = np.asarray(PngImageFile(BytesIO(content)))
        target[...] = pixels.reshape(target.shape)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError("image", f"must be a PNG of shape {target.shape}", str(error)) from error


def pixel_digest(image: Pixels) -> bytes:
    """The SHA-256 digest of one C-contiguous image's shape and pixels: equal for pixel-identical images only."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(image.data)
    return digest.digest()


def resize(images: Pixels, height: int, width: int) -> Pixels:
    """Resizes uint8 (N, H, W, C), C 1 or 3, with Pillow's antialiased Lanczos filter; same shape, same array."""
    if images.shape[1:3] == (height, width):
        return images
    resized = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for target, image in zip(resized, images, strict=True):
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        small = picture.resize((width, height), Image.Resampling.LANCZOS)
        target[...] = np.asarray(small).reshape(target.shape)
    return resized
