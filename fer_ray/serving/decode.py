"""Bytes of one image to the pixels that the model takes.

Read are JPEG, PNG, WebP, BMP and GIF. Of an animated image the first frame counts. EXIF rotation is applied,
transparency is laid over white, 16 bits per channel become 8. A truncated image is refused, not guessed. The
importer's own `fit_image` brings the image to the model's size, so that training and serving see the same pixels.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from fer_ray.data.image_files import Target, fit_image
from fer_ray.errors import DataError
from fer_ray.pixels import Box, Pixels, crop_face
from fer_ray.serving.http_errors import bad_request, too_large, unsupported

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
READABLE = "JPEG, PNG, WebP, BMP and GIF"

#: How the kinds that people send by mistake begin, so that the answer can name them.
_KNOWN_BEGINNINGS = {
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop image",
    b"\x00\x00\x01\x00": "an icon file",
    b"<svg": "an SVG drawing",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 image",
}


def decode_image(
    data: bytes, input_shape: tuple[int, int, int], *, max_pixels: int, box: Box | None = None
) -> tuple[Pixels, int]:
    """Decodes, crops and resizes one image.

    Args:
        data: The file's bytes.
        input_shape: (H, W, C) of the model's input; C is 1 (grey) or 3 (RGB).
        max_pixels: Upper bound of width times height, checked before the pixels are decoded.
        box: The face in the image as it is seen (EXIF rotation applied); cut out by `crop_face`.

    Returns:
        uint8, shape `input_shape`; and the number of pixels that the image had.

    Raises:
        RequestError: 400 for no image, a broken one or a box outside it, 413 for too many pixels, 415 for a
            kind that is not read.
    """
    image = _open(data, max_pixels)
    count = image.width * image.height
    if count > max_pixels:
        size = f"{image.width}x{image.height} pixels"
        raise too_large("too_many_pixels", f"The image has {size}; at most {max_pixels} in all are allowed.")
    upright = _load(image)
    if box is not None:
        upright = _crop(upright, box)
    return fit_image(upright, Target(*input_shape)), count


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Reads the header only."""
    if not data:
        raise bad_request("empty_image", "The image has no bytes.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        message = f"The image has far more pixels than the {max_pixels} that are allowed."
        raise too_large("too_many_pixels", message) from error
    except Exception as error:  # Pillow's readers raise whatever hostile bytes lead to
        raise _unreadable(data) from error


def _unreadable(data: bytes) -> Exception:
    beginning = data.lstrip()[:16] if data[:1].isspace() else data[:16]
    for magic, kind in _KNOWN_BEGINNINGS.items():
        if beginning.startswith(magic):
            return unsupported("unsupported_format", f"This is {kind}; readable are {READABLE}.")
    if data[4:8] == b"ftyp":
        return unsupported(
            "unsupported_format", f"This is a HEIC, AVIF or MP4 file; readable are {READABLE}."
        )
    return bad_request("not_an_image", f"The bytes are no image that can be read; readable are {READABLE}.")


def _load(image: Image.Image) -> Image.Image:
    """Decodes the pixels of the first frame, upright, opaque, eight bits per channel."""
    try:
        image.load()
        return _opaque(_eight_bits(ImageOps.exif_transpose(image)))
    except Exception as error:
        message = f"The {image.format} image is truncated or damaged and cannot be decoded."
        raise bad_request("broken_image", message) from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey images of 16 bits per pixel (modes I and I;16), scaled as the importer scales them."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray((values // 257).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Lays what is transparent over white, as most viewers do."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _crop(image: Image.Image, box: Box) -> Image.Image:
    try:
        return Image.fromarray(crop_face(np.asarray(image.convert("RGB")), box))
    except DataError as error:
        size = f"{image.width}x{image.height}"
        raise bad_request("bad_box", f"The box {list(box)} has no area inside the {size} image.") from error
