"""Augmented samples are what the shipped spaces' own layer makes."""

import numpy as np
import pytest

from fer_ray.data.synthetic import draw_faces
from fer_ray.training.augment_samples import augment_samples

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def images():
    return draw_faces(6, seed=0, size=24)[0]


@pytest.fixture(scope="module")
def policies(images):
    return augment_samples(images, 4, seed=1)


def test_shapes_and_names(policies):
    assert [policy.name for policy in policies] == ["default", "strongest"]
    assert all(policy.images.shape == (6, 4, 24, 24, 1) for policy in policies)
    assert all(policy.images.dtype == np.uint8 for policy in policies)


def test_strengths_are_those_of_the_spaces_ranges(policies):
    default, strongest = (policy.strength for policy in policies)
    assert default["turned"].startswith("by up to 10°") and strongest["turned"].startswith("by up to 20°")
    assert default["shifted"].startswith("by up to 10%") and strongest["shifted"].startswith("by up to 20%")
    assert default["partly erased"] == "never" and strongest["partly erased"] == "50% of the images"


def test_each_version_differs_from_its_original_and_the_others(images, policies):
    for policy in policies:
        for original, versions in zip(images, policy.images, strict=True):
            assert len({image.tobytes() for image in (original, *versions)}) == 5


def test_a_version_is_nearer_to_its_original_than_to_other_faces(images, policies):
    """By how bright it is as a whole: augmentation changes that little at its default."""
    means = images.mean(axis=(1, 2, 3))
    versions = policies[0].images.mean(axis=(1, 2, 3, 4))
    assert np.abs(versions - means).max() < 15


def test_the_strongest_goes_further(images, policies):
    def distance(policy):
        return np.abs(policy.images.astype(int) - images[:, None]).mean()

    assert distance(policies[1]) > distance(policies[0])


def test_a_seed_decides_all(images, policies):
    again = augment_samples(images, 4, seed=1)
    other = augment_samples(images, 4, seed=2)
    for one, two, three in zip(policies, again, other, strict=True):
        np.testing.assert_array_equal(one.images, two.images)
        assert (one.images != three.images).any()


def test_colour(images):
    colour = np.concatenate([images, images // 2, 255 - images], axis=3)
    policies = augment_samples(colour, 2, seed=0)
    assert policies[0].images.shape == (6, 2, 24, 24, 3)
