import io

import numpy as np
import pytest
from PIL import Image

from fer_ray.data.image_files import Target, fit_image, open_image
from fer_ray.serving.decode import decode_image
from fer_ray.serving.http_errors import RequestError

GREY, COLOUR = (8, 8, 1), (8, 8, 3)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes, shape: tuple[int, int, int] = GREY, **options: object) -> np.ndarray:
    pixels, _ = decode_image(data, shape, max_pixels=10_000, **options)
    assert pixels.shape == shape and pixels.dtype == np.uint8
    return pixels


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF"])
def test_every_lossless_format_gives_the_pixels_that_were_saved(kind: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)
    data = encode(Image.fromarray(pixels), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(decode(data)[..., 0], pixels)


def test_jpeg_is_read() -> None:
    assert abs(int(decode(encode(Image.new("RGB", (30, 20), (90, 90, 90)), "JPEG")).mean()) - 90) <= 1


def test_exif_rotation_is_applied() -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, 4:] = 255
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must turn 90 degrees clockwise
    upright = decode(encode(image, "PNG", exif=exif))[..., 0]
    assert np.array_equal(upright, np.rot90(pixels, -1))


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("L", (8, 8), value) for value in (200, 10, 10)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(data) == 200).all()


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((10, 20, 30, 255), (0, 0, 4, 8))
    pixels = decode(encode(image), COLOUR)
    assert (pixels[:, :4] == (10, 20, 30)).all() and (pixels[:, 4:] == 255).all()


def test_a_transparent_palette_colour_is_laid_over_white() -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette(bytes(range(256)) * 3)
    assert (decode(encode(image, "PNG", transparency=3)) == 255).all()


def test_sixteen_bits_become_eight() -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    assert np.array_equal(decode(encode(Image.fromarray(values)))[..., 0], values // 257)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_every_mode_fits_every_model(mode: str, shape: tuple[int, int, int]) -> None:
    assert (decode(encode(Image.new("L", (20, 10), 255).convert(mode)), shape) == 255).all()


def test_cmyk_jpegs_are_read() -> None:
    assert decode(encode(Image.new("CMYK", (20, 10)), "JPEG"), COLOUR).min() > 250


@pytest.mark.parametrize(("side", "word"), [(9_000, "9000x9000"), (20_000, "far more")])
def test_pixels_are_counted_before_they_are_decoded(side: int, word: str) -> None:
    bomb = encode(Image.new("1", (side, side)))
    assert len(bomb) < 60_000
    with pytest.raises(RequestError) as error:
        decode_image(bomb, GREY, max_pixels=side * side - 1)
    assert error.value.status == 413 and word in error.value.message


def test_the_pixel_limit_is_inclusive_and_the_count_returned() -> None:
    data = encode(Image.new("L", (30, 20)))
    assert decode_image(data, GREY, max_pixels=600)[1] == 600
    with pytest.raises(RequestError):
        decode_image(data, GREY, max_pixels=599)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_images_are_refused(kind: str, kept: float) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(RequestError) as error:
        decode(data[: int(len(data) * kept)])
    assert error.value.status == 400


def test_flipped_bytes_never_raise_anything_else() -> None:
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        original = np.frombuffer(encode(Image.fromarray(noise), kind), np.uint8)
        for _ in range(60):
            data = original.copy()
            data[random.integers(0, len(data), 5)] = random.integers(0, 256, 5)
            try:
                decode(data.tobytes())
            except RequestError as error:
                assert 400 <= error.status < 500


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (b"", 400, "no bytes"),
        (b"hello, this is no image", 400, "no image"),
        (b"\x89PNG\r\n\x1a\n", 400, "no image"),
        (encode(Image.new("L", (8, 8)), "TIFF"), 415, "TIFF"),
        (b"%PDF-1.7 ...", 415, "PDF"),
        (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", 415, "SVG"),
        (encode(Image.new("RGB", (8, 8)), "AVIF"), 415, "AVIF"),
        (encode(Image.new("RGB", (8, 8)), "JPEG2000"), 415, "JPEG 2000"),
        (encode(Image.new("RGB", (16, 16)), "ICO"), 415, "icon"),
    ],
)
def test_what_is_no_image_of_a_known_kind_says_so(data: bytes, status: int, word: str) -> None:
    with pytest.raises(RequestError) as error:
        decode(data)
    assert error.value.status == status and word in error.value.message


def test_a_box_is_cut_out() -> None:
    pixels = np.zeros((40, 60), np.uint8)
    pixels[10:30, 30:50] = 255
    assert decode(encode(Image.fromarray(pixels)), box=(32, 12, 48, 28)).min() == 255


def test_a_box_outside_the_image_is_refused() -> None:
    with pytest.raises(RequestError) as error:
        decode(encode(Image.new("L", (20, 20))), box=(30, 0, 40, 10))
    assert error.value.status == 400 and "20x20" in error.value.message


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pixels_are_those_that_the_importer_makes(shape: tuple[int, int, int], kind: str) -> None:
    noise = np.random.default_rng(4).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    assert np.array_equal(decode(data, shape), fit_image(open_image(data), Target(*shape)))


def test_sixteen_bits_with_a_transparent_level_are_read() -> None:
    values = np.full((8, 8), 65535, np.uint16)
    assert (decode(encode(Image.fromarray(values), "PNG", transparency=5)) == 255).all()
