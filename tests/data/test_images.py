import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from fer_ray.data.images import decode_png_into, encode_png, pixel_digest, resize
from fer_ray.errors import DataError

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)


@settings(deadline=None)
@given(SHAPES.flatmap(lambda s: arrays.arrays(np.uint8, (*s, 1))))
def test_grey_survives_encoding(image):
    target = np.empty_like(image)
    decode_png_into(target, encode_png(image))
    assert (target == image).all()


@settings(deadline=None)
@given(SHAPES.flatmap(lambda s: arrays.arrays(np.uint8, (*s, 3))))
def test_colour_survives_encoding(image):
    target = np.empty_like(image)
    decode_png_into(target, encode_png(image))
    assert (target == image).all()


@pytest.mark.parametrize("content", [b"", b"no image", encode_png(np.zeros((4, 4, 1), np.uint8))[:40]])
def test_broken_bytes_are_a_data_error(content):
    with pytest.raises(DataError, match="must be a PNG"):
        decode_png_into(np.empty((4, 4, 1), np.uint8), content)


def test_another_shape_is_a_data_error():
    with pytest.raises(DataError, match="must be a PNG of shape"):
        decode_png_into(np.empty((5, 4, 1), np.uint8), encode_png(np.zeros((4, 4, 1), np.uint8)))


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
