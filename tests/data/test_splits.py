import numpy as np
import pytest

from fer_ray.data.splits import TEST, TRAIN, UNKNOWN, VALIDATION, complete_splits
from fer_ray.errors import DataError

LABELS = np.repeat([0, 1, 2], [600, 300, 100])
DISTINCT = np.arange(1000)


def complete(splits, labels=LABELS, groups=DISTINCT, seed=0, **options):
    return complete_splits(splits, labels, groups, seed=seed, **options)


def test_a_complete_source_is_left_alone():
    splits = np.arange(1000) % 3
    made, origin = complete(splits)
    assert (made == splits).all()
    assert origin == "as the source has them"


def test_a_flat_source_is_cut_by_class():
    made, origin = complete(np.full(1000, UNKNOWN))
    table = [np.bincount(LABELS[made == split]).tolist() for split in (TRAIN, VALIDATION, TEST)]
    assert table == [[480, 240, 80], [60, 30, 10], [60, 30, 10]]
    assert "no split" in origin and "seed 0" in origin


def test_the_cut_is_that_of_its_seed():
    flat = np.full(1000, UNKNOWN)
    assert (complete(flat)[0] == complete(flat)[0]).all()
    assert (complete(flat)[0] != complete(flat, seed=1)[0]).any()


def test_a_missing_validation_split_is_taken_out_of_training():
    splits = np.where(np.arange(1000) % 2, TRAIN, TEST)
    made, origin = complete(splits)
    assert ((made == TEST) == (splits == TEST)).all()
    assert (made == VALIDATION).sum() == 50
    assert "no validation" in origin


def test_copies_get_the_same_split():
    groups = DISTINCT // 4
    made, _ = complete(np.full(1000, UNKNOWN), groups=groups)
    assert (made.reshape(-1, 4) == made[::4, None]).all()
    assert set(made) == {TRAIN, VALIDATION, TEST}


def test_images_without_a_split_beside_others_are_for_training():
    splits = np.where(np.arange(1000) % 2, UNKNOWN, np.arange(1000) // 2 % 2 + 1)
    made, _ = complete(splits)
    assert (made[1::2] == TRAIN).all()


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(DataError, match=r"images to train on.*only test"):
        complete(np.full(1000, TEST))


def test_a_class_of_one_image_cannot_be_cut():
    labels = np.where(np.arange(1000) == 0, 3, LABELS)
    with pytest.raises(DataError, match="enough distinct images"):
        complete(np.full(1000, UNKNOWN), labels=labels)


def test_the_cut_does_not_depend_on_the_order_of_the_images():
    order = np.random.default_rng(0).permutation(1000)
    groups = DISTINCT // 2
    straight, _ = complete(np.full(1000, UNKNOWN), groups=groups)
    shuffled, _ = complete(np.full(1000, UNKNOWN), labels=LABELS[order], groups=groups[order])
    assert (shuffled == straight[order]).all()
