from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fer_ray.data.images import decode_png_into, encode_pngs, pixel_digest, resize
from fer_ray.errors import DataError


@settings(deadline=None)
@given(
    arrays.array_shapes(min_dims=3, max_dims=3, max_side=9).flatmap(
        lambda shape: st.sampled_from([1, 3]).flatmap(lambda c: arrays.arrays(np.uint8, (*shape, c)))
    )
)
def test_every_pixel_survives_encoding(images):
    for image, content in zip(images, encode_pngs(images), strict=True):
        target = np.empty_like(image)
        decode_png_into(target, content)
        assert (target == image).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_pillow_finds_whole_pngs(channels, mode):
    # Larger than the 65,535 bytes of one stored block.
    image = np.random.default_rng(0).integers(0, 256, (1, 300, 310, channels), np.uint8)
    (content,) = encode_pngs(image)
    with Image.open(BytesIO(content)) as opened:
        opened.verify()
    with Image.open(BytesIO(content)) as opened:
        assert (opened.format, opened.mode, opened.size) == ("PNG", mode, (310, 300))
        assert (np.asarray(opened).reshape(300, 310, channels) == image[0]).all()


def test_no_images():
    assert encode_pngs(np.empty((0, 4, 4, 1), np.uint8)) == []


@pytest.mark.parametrize("content", [b"", b"no image", encode_pngs(np.zeros((1, 4, 4, 1), np.uint8))[0][:40]])
def test_broken_bytes_are_a_data_error(content):
    with pytest.raises(DataError, match="must be a PNG"):
        decode_png_into(np.empty((4, 4, 1), np.uint8), content)


def test_another_shape_is_a_data_error():
    with pytest.raises(DataError, match="must be a PNG of shape"):
        decode_png_into(np.empty((5, 4, 1), np.uint8), encode_pngs(np.zeros((1, 4, 4, 1), np.uint8))[0])


def test_digests_tell_pixels_and_shapes_apart():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    other = image.copy()
    other[3, 3] ^= 1
    assert pixel_digest(image) == pixel_digest(image.copy())
    assert len({pixel_digest(i) for i in (image, other, image.reshape(2, 8, 1))}) == 3


def test_resize_keeps_flat_images_flat_and_the_same_size_untouched():
    images = np.full((3, 8, 8, 1), 77, np.uint8)
    assert resize(images, 8, 8) is images
    assert (resize(images, 5, 6) == np.full((3, 5, 6, 1), 77)).all()
