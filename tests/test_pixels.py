"""The face crop: a square with a margin, inside the image, a view of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ray.errors import DataError
from fer_ray.pixels import crop_face


def numbered(height, width):
    """Each pixel tells its row and column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns], axis=2).astype(np.uint8)


def corners(crop):
    """Top, left, bottom and right of a crop of a numbered image."""
    return (*map(int, crop[0, 0]), *map(int, crop[-1, -1]))


def test_a_square_box_without_margin_is_cut_out_exactly():
    assert corners(crop_face(numbered(40, 60), (10, 5, 30, 25), margin=0)) == (5, 10, 24, 29)


def test_the_margin_goes_to_each_side():
    assert corners(crop_face(numbered(60, 60), (20, 20, 40, 40), margin=0.1)) == (18, 18, 41, 41)


def test_a_long_box_becomes_a_square_about_its_middle():
    assert corners(crop_face(numbered(60, 60), (25, 10, 35, 50), margin=0)) == (10, 10, 49, 49)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 20, 20), (0, 0, 29, 29)),
        ((80, 40, 100, 60), (30, 70, 59, 99)),
        ((-10, -10, 10, 10), (0, 0, 29, 29)),
    ],
)
def test_at_the_border_the_square_moves_inwards(box, expected):
    assert corners(crop_face(numbered(60, 100), box, margin=0.25)) == expected


def test_a_box_larger_than_the_image_is_cut_to_its_shorter_side():
    crop = crop_face(numbered(30, 50), (-100, -100, 150, 150))
    assert corners(crop) == (0, 10, 29, 39)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 10, 20),
        (10, 10, 20, 10),
        (20, 10, 10, 20),
        (60, 0, 70, 9),
        (0, 40, 9, 50),
        (-9, 0, 0, 9),
        (0, -9, 9, 0),
    ],
)
def test_a_box_without_area_in_the_image_is_refused(box):
    with pytest.raises(DataError, match=r"face box: must have an area inside the image.*of a 60x40 image"):
        crop_face(numbered(40, 60), box)


@given(
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    box=st.tuples(*[st.integers(-50, 130)] * 4),
    margin=st.floats(0, 1),
)
def test_any_crop_is_a_square_view_that_holds_the_boxs_middle(height, width, box, margin):
    image = numbered(height, width)
    try:
        crop = crop_face(image, box, margin)
    except DataError:
        left, top, right, bottom = box
        assert right <= max(left, 0) or bottom <= max(top, 0) or left >= width or top >= height
        return
    assert 1 <= crop.shape[0] == crop.shape[1] <= min(height, width)
    assert crop.shape[2] == 2
    assert np.shares_memory(crop, image)
    top, left, bottom, right = corners(crop)
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if 0 <= middle[0] < width and 0 <= middle[1] < height:
        assert left - 1 <= middle[0] <= right + 1.5
        assert top - 1 <= middle[1] <= bottom + 1.5
