import numpy as np
import pytest

from fer_ray.data.action_units import ACTION_UNITS, DRAWS, intensities
from fer_ray.data.face_drawing import RANGES, draw
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.synthetic import draw_faces, iter_faces, write_synthetic
from fer_ray.errors import DataError


def face(size=96, **units):
    """One face of middling measures with the given action units, float32 (size, size)."""
    measures = {
        name: np.full((1, 1, 1), (low + high) / 2, np.float32) for name, (low, high) in RANGES.items()
    }
    strengths = {unit: np.full((1, 1, 1), units.get(f"au{unit}", 0.0), np.float32) for unit in ACTION_UNITS}
    return draw(measures, strengths, size)[0]


def rows_that_differ(a, b):
    return np.flatnonzero(np.abs(a - b).max(axis=1) > 0.05) / len(a)


def test_shapes_types_and_labels():
    images, labels = draw_faces(50, seed=0, size=20)
    assert images.dtype == np.uint8 and images.shape == (50, 20, 20, 1) and images.flags.c_contiguous
    assert labels.dtype == np.int64 and labels.shape == (50,)
    assert set(labels) <= set(range(len(EMOTIONS)))


def test_drawing_stays_in_single_precision():
    assert face().dtype == np.float32


def test_the_seed_decides():
    first, again, other = (draw_faces(9, seed=s)[0] for s in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_neither_pieces_nor_number_change_an_image(piece):
    images, labels = draw_faces(70, seed=5)
    drawn = list(iter_faces(40, seed=5, piece=piece))
    assert (np.concatenate([i for i, _ in drawn]) == images[:40]).all()
    assert (np.concatenate([label for _, label in drawn]) == labels[:40]).all()


def test_classes_are_about_equally_frequent():
    _, labels = draw_faces(2100, seed=0, size=16)
    assert np.bincount(labels).min() > 240


@pytest.mark.parametrize(
    ("arguments", "message"), [((0, 0, 48), "images"), ((5, -1, 48), "seed"), ((5, 0, 8), "size")]
)
def test_impossible_arguments(arguments, message):
    n, seed, size = arguments
    with pytest.raises(DataError, match=message):
        draw_faces(n, seed=seed, size=size)


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_every_action_unit_moves_its_part_of_the_face(unit):
    others = {"au25": 1.0} if unit == 10 else {}
    rows = rows_that_differ(face(**others), face(**others, **{f"au{unit}": 1.0}))
    assert len(rows)
    if unit in {1, 2, 4, 5, 6, 7}:  # brows and lids
        assert rows.max() < 0.6
    if unit in {15, 20, 23, 25, 26, 27}:  # mouth and jaw
        assert rows.min() > 0.6


def test_happy_is_cheeks_and_lip_corners_and_neutral_is_nearly_still():
    labels = np.repeat(np.arange(len(EMOTIONS)), 500)
    drawn = intensities(labels, np.random.default_rng(0).random((3500, DRAWS)).astype(np.float32))
    happy, neutral = labels == EMOTIONS.index("happy"), labels == EMOTIONS.index("neutral")
    assert min(drawn[6][happy].min(), drawn[12][happy].min()) >= 0.5
    assert drawn[15][happy].max() <= 0.1
    assert max(values[neutral].max() for values in drawn.values()) <= 0.1


def test_a_written_data_set_holds_the_drawn_faces(tmp_path):
    data = write_synthetic(tmp_path / "drawn", images=100, seed=2, size=24)
    images, labels = draw_faces(100, seed=2, size=24)
    assert data.classes == EMOTIONS and data.image_shape == (24, 24, 1)
    for split, rows in (
        ("train", [i for i in range(100) if i % 10 < 8]),
        ("validation", list(range(8, 100, 10))),
        ("test", list(range(9, 100, 10))),
    ):
        loaded, loaded_labels = data.load(split)
        assert (loaded == images[rows]).all()
        assert (loaded_labels == labels[rows]).all()


def test_the_same_seed_gives_the_same_fingerprint(tmp_path):
    prints = [
        write_synthetic(tmp_path / str(n), images=40, seed=seed, size=16).fingerprint
        for n, seed in enumerate((0, 0, 1))
    ]
    assert prints[0] == prints[1] != prints[2]
