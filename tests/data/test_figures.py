"""Figures are drawn, legible in size, and show what they should where they should."""

import io

import numpy as np
import pytest
from PIL import Image

from fer_ray.data import figures
from fer_ray.data.survey import survey
from fer_ray.data.synthetic import write_synthetic

THEMES = (figures.LIGHT, figures.DARK)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("figures") / "faces", images=120, size=16)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def coloured(image, colour):
    """How many pixels have a colour."""
    return int((image == rgb(colour)).all(axis=2).sum())


@pytest.mark.parametrize("theme", THEMES)
def test_bars_are_as_long_as_the_classes_are_large(data, theme):
    image = pixels(figures.class_distribution(data, data.classes, theme))
    assert image.shape[1] == 1000 and image.shape[0] > 500
    assert tuple(image[2, 2]) == rgb(theme.paper)
    areas = [coloured(image, colour) for colour in theme.splits]
    # 96, 12 and 12 images; the legend adds a little to each, the edges between pieces take a little.
    assert 6 < areas[0] / areas[1] < 9
    assert 0.9 < areas[1] / areas[2] < 1.1


@pytest.mark.parametrize("theme", THEMES)
def test_brightness_has_a_line_per_split(data, theme):
    image = pixels(figures.brightness(survey(data), theme))
    assert image.shape[1] == 1000
    assert all(coloured(image, colour) > 200 for colour in theme.splits)


def test_classes_may_have_any_name(data):
    counts = {split: {"$x": 3, "b$": 1, "n" * 300: 2} for split in data.counts}
    strange = type(data)(**{**vars(data), "classes": ("$x", "b$", "n" * 300), "counts": counts})
    assert pixels(figures.class_distribution(strange, strange.classes)).shape[1] == 1000


def test_a_sheet_has_its_images_in_rows_and_groups():
    def tile(value):
        return np.full((48, 48, 1), value, np.uint8)

    rows = {"one": [[tile(10), tile(20)], [tile(30)]], "two": [[tile(40)], []]}
    sheet = pixels(figures.sheet(rows, ["left", "right"]))[..., 0]
    places = {value: np.argwhere(sheet == value) for value in (10, 20, 30, 40)}
    # 96 pixels a side, and of those that letters share the shade of some are elsewhere.
    boxes = {value: np.median(found, axis=0) for value, found in places.items()}
    assert all(len(found) >= 96 * 96 for found in places.values())
    assert boxes[10][0] == pytest.approx(boxes[20][0], abs=1) == pytest.approx(boxes[30][0], abs=1)
    assert boxes[20][1] - boxes[10][1] == pytest.approx(100, abs=1)
    assert boxes[30][1] - boxes[20][1] == pytest.approx(120, abs=1)
    assert boxes[40][0] - boxes[10][0] == pytest.approx(100, abs=1)
    assert boxes[40][1] == pytest.approx(boxes[10][1], abs=1)
