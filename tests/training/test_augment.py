"""Augmentation: off outside training, within its bounds in it, the same for the same seed."""

import keras
import numpy as np
import pytest

from fer_ray.training.augment import AugmentFaces

pytestmark = pytest.mark.keras

STILL = {"rotation": 0.0, "shift": 0.0, "zoom": 0.0, "brightness": 0.0, "mirror": False}
SIDE = 24


@pytest.fixture(scope="module")
def faces():
    generator = np.random.default_rng(0)
    return generator.random((32, SIDE, SIDE, 1), dtype=np.float32) - 0.5


def augmented(images, **options):
    return np.asarray(AugmentFaces(**{**STILL, "seed": 5, **options})(images, training=True))


def spots(n=64):
    """Images that are dark but for one bright pixel left of and above the centre."""
    images = np.zeros((n, SIDE, SIDE, 1), np.float32)
    images[:, 7, 8] = 1.0
    return images


def centres(images):
    """Where the light of each image lies: rows and columns, shape (N, 2)."""
    mass = images[..., 0]
    total = mass.sum(axis=(1, 2))
    places = np.arange(SIDE)
    rows = (mass.sum(axis=2) * places).sum(axis=1) / total
    columns = (mass.sum(axis=1) * places).sum(axis=1) / total
    return np.stack([rows, columns], axis=1)


def test_outside_training_nothing_changes(faces):
    layer = AugmentFaces(seed=1)
    np.testing.assert_array_equal(np.asarray(layer(faces)), faces)
    np.testing.assert_array_equal(np.asarray(layer(faces, training=False)), faces)


def test_with_every_reach_at_zero_nothing_changes_in_training(faces):
    np.testing.assert_allclose(augmented(faces), faces, atol=1e-5)


def test_every_reach_changes_the_images(faces):
    for option in ({"rotation": 15.0}, {"shift": 0.1}, {"zoom": 0.1}, {"brightness": 0.2}, {"mirror": True}):
        assert not np.allclose(augmented(faces, **option), faces, atol=1e-3), option


def test_erasing_takes_a_rectangle_from_its_share_of_the_images():
    out = augmented(np.ones((400, SIDE, SIDE, 1), np.float32), erase=0.5)[..., 0]
    assert set(np.unique(out.round(5))) == {0.0, 1.0}
    erased = [image < 0.5 for image in out if (image < 0.5).any()]
    assert 150 < len(erased) < 250
    for mask in erased:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert max(len(rows), len(columns)) <= 0.4 * SIDE + 1
    np.testing.assert_allclose(augmented(np.ones((8, SIDE, SIDE, 1), np.float32), erase=0.0), 1.0, atol=1e-5)


def test_about_half_are_mirrored_and_none_is_upside_down(faces):
    out = augmented(np.tile(faces, (8, 1, 1, 1)), mirror=True)
    images = np.tile(faces, (8, 1, 1, 1))
    same = np.isclose(out, images, atol=1e-4).all(axis=(1, 2, 3))
    mirrored = np.isclose(out, images[:, :, ::-1], atol=1e-4).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 0.35 < mirrored.mean() < 0.65


def test_the_top_stays_the_top_under_all_at_once():
    images = np.zeros((128, SIDE, SIDE, 1), np.float32)
    images[:, : SIDE // 2] = 1.0
    options = {"rotation": 20.0, "shift": 0.1, "zoom": 0.15, "brightness": 0.2, "mirror": True}
    out = augmented(images, **options)
    assert (out[:, : SIDE // 2].mean(axis=(1, 2, 3)) > out[:, SIDE // 2 :].mean(axis=(1, 2, 3)) + 0.3).all()


def test_shifts_go_to_every_side_and_no_further_than_they_may():
    moved = centres(augmented(spots(), shift=0.2)) - [7, 8]
    reach = 0.2 * SIDE
    assert (np.abs(moved) <= reach + 0.01).all()
    assert (moved.max(axis=0) > 0.6 * reach).all()
    assert (moved.min(axis=0) < -0.6 * reach).all()


def test_turns_go_both_ways_about_the_centre_and_no_further_than_they_may():
    middle = (SIDE - 1) / 2
    rows, columns = (centres(augmented(spots(), rotation=20.0)) - middle).T
    radius = np.hypot(7 - middle, 8 - middle)
    np.testing.assert_allclose(np.hypot(rows, columns), radius, atol=0.35)
    turned = np.degrees(np.arctan2(rows, columns) - np.arctan2(7 - middle, 8 - middle))
    turned = (turned + 180) % 360 - 180
    assert np.abs(turned).max() < 23
    assert turned.max() > 10
    assert turned.min() < -10


def test_brightness_scales_within_its_reach(faces):
    ratios = (augmented(faces, brightness=0.2) / faces).reshape(len(faces), -1)
    np.testing.assert_allclose(ratios, ratios[:, :1].repeat(ratios.shape[1], axis=1), rtol=1e-3)
    factors = ratios[:, 0]
    assert (np.abs(factors - 1) <= 0.2 + 1e-5).all()
    assert factors.min() < 0.93 < 1.07 < factors.max()


def test_each_image_and_each_call_draws_anew(faces):
    same = np.tile(faces[:1], (8, 1, 1, 1))
    layer = AugmentFaces(seed=3)
    first, second = (np.asarray(layer(same, training=True)) for _ in range(2))
    assert len({image.tobytes() for image in (*first, *second)}) == 16


def test_a_seed_decides_all(faces):
    np.testing.assert_array_equal(augmented(faces, rotation=9.0), augmented(faces, rotation=9.0))
    assert not np.allclose(augmented(faces, rotation=9.0), augmented(faces, rotation=9.0, seed=6))


def test_it_is_saved_with_its_model(tmp_path, faces):
    images = keras.Input((SIDE, SIDE, 1))
    options = {"rotation": 7.0, "shift": 0.05, "zoom": 0.02, "brightness": 0.3, "mirror": False, "seed": 2}
    model = keras.Model(images, AugmentFaces(**options)(images))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    config = again.layers[-1].get_config()
    assert {name: config[name] for name in options} == options
    np.testing.assert_array_equal(again.predict(faces, verbose=0), faces)


def test_its_random_state_is_among_the_models_variables():
    images = keras.Input((SIDE, SIDE, 1))
    model = keras.Model(images, AugmentFaces(seed=2)(images))
    before = [np.asarray(variable).tolist() for variable in model.variables]
    model(np.zeros((1, SIDE, SIDE, 1), np.float32), training=True)
    assert before != [np.asarray(variable).tolist() for variable in model.variables]
