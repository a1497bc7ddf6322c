import shutil

import numpy as np
import pytest
import source_shapes as shapes

from fer_ray.data import SPLITS
from fer_ray.data.importer import import_dataset
from fer_ray.data.known_names import subject_in_name
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.data.splits import TEST, TRAIN, UNKNOWN, VALIDATION, complete_splits
from fer_ray.data.subjects import NOBODY, join_subjects
from fer_ray.errors import DataError

FACES = shapes.Faces()


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("S010_004_00000017.png", "S010"),
        ("S010_004_00000017_emotion.txt", None),
        ("KA.AN1.39.tiff", "KA"),
        ("KA.XX1.39.tiff", None),
        ("AF01ANS.JPG", "F01"),
        ("BF01AFHL.JPG", "F01"),
        ("BM35SUFR.JPG", "M35"),
        ("AF01ANX.JPG", None),
        ("Training_3908.jpg", None),
        ("train_00001_aligned.jpg", None),
    ],
)
def test_subjects_in_names(name, subject):
    assert subject_in_name(name) == subject


def test_sets_that_no_cut_may_part():
    #                  a  a  b  c  d  e     image a is of 0 and 1, so b, of 1, goes with it; d and e are of nobody
    images = np.array([0, 0, 1, 2, 3, 4])
    subjects = np.array([0, 1, 1, 2, NOBODY, NOBODY])
    joined = join_subjects(images, subjects)
    assert joined.tolist() == [0, 0, 0, 1, 2, 3]
    order = np.array([5, 2, 0, 4, 1, 3])
    renamed = np.where(subjects < 0, subjects, 2 - subjects)
    assert (join_subjects(images[order], renamed[order]) == joined[order]).all()


def test_people_are_cut_by_class_and_never_parted():
    random = np.random.default_rng(0)
    people = random.integers(0, 60, 3000)
    labels = (random.random(3000) < 0.2 + 0.2 * (people % 2)).astype(int)
    images = np.arange(3000)
    made, origin = complete_splits(np.full(3000, UNKNOWN), labels, images, units=people, seed=0)
    for person in range(60):
        assert len(set(made[people == person])) == 1
    shares = np.bincount(made) / 3000
    assert abs(shares - [0.8, 0.1, 0.1]).max() < 0.02
    for split in (TRAIN, VALIDATION, TEST):
        assert abs(labels[made == split].mean() - labels.mean()) < 0.05
    assert "images of a person kept together" in origin
    again, _ = complete_splits(np.full(3000, UNKNOWN), labels, images, units=people, seed=0)
    other, _ = complete_splits(np.full(3000, UNKNOWN), labels, images, units=people, seed=1)
    assert (again == made).all() and (other != made).any()


@pytest.mark.parametrize(
    ("people", "shares"), [(3, (80, 10, 10)), (4, (50, 25, 25)), (100, (70, 15, 15)), (7, None)]
)
def test_any_number_of_people_from_three_can_be_cut(people, shares):
    images = np.arange(people * 20)
    units, labels = images % people, images // people % 2
    made, _ = complete_splits(
        np.full(len(images), UNKNOWN), labels, images, units=units, shares=shares, seed=0
    )
    counts = np.bincount(made, minlength=3)
    assert counts.min() >= 20
    if people == 100:
        assert abs(counts / len(images) - np.array(shares) / 100).max() <= 0.02


def test_two_people_cannot_be_cut_into_three():
    images = np.arange(40)
    with pytest.raises(DataError, match="enough people"):
        complete_splits(np.full(40, UNKNOWN), images // 20, images, units=images % 2, seed=0)


def test_split_makes_all_splits_anew(tmp_path):
    source = shapes.fer2013_csv(tmp_path, FACES)
    data = import_dataset(source, tmp_path / "out", options=WriteOptions(split=(60, 20, 20), seed=4))
    assert {s: list(data.counts[s].values()) for s in SPLITS} == {
        "train": [6] * 7,
        "validation": [2] * 7,
        "test": [2] * 7,
    }
    assert data.report["splits"].startswith("made anew, as asked: by class, 60/20/20%, seed 4")
    folders = shapes.class_folders(tmp_path, FACES)
    again = import_dataset(folders, tmp_path / "again", options=WriteOptions(split=(60, 20, 20), seed=4))
    other = import_dataset(folders, tmp_path / "other", options=WriteOptions(split=(60, 20, 20), seed=5))
    assert again.fingerprint == data.fingerprint != other.fingerprint


def test_the_sources_splits_stay_though_people_are_in_two_and_it_is_told(tmp_path):
    source = tmp_path / "faces"
    for number, image, label, split in FACES:
        shapes.save(source / split / label / f"S{number % 9:03d}_001_{number:08d}.png", image)
    data = import_dataset(source, tmp_path / "out")
    assert data.report["splits"] == "as the source has them"
    straddling = data.report["subjects"]["in_several_splits"]
    assert straddling > 0
    assert any(f"{straddling} people are shown in more than one split" in w for w in data.report["warnings"])
    parted = import_dataset(source, tmp_path / "parted", options=WriteOptions(split=(70, 15, 15)))
    assert parted.report["subjects"]["in_several_splits"] == 0


def test_subjects_from_a_users_own_paths(tmp_path):
    source = tmp_path / "faces"
    for number, image, label, _ in FACES:
        shapes.save(source / f"person-{number % 11}" / label / f"{number}.png", image)
    shutil.copy(source / "person-0" / "angry" / "0.png", source / "person-1" / "angry" / "copy.png")
    options = WriteOptions(group_from=r"person-(\d+)/")
    data = import_dataset(source, tmp_path / "out", options=options)
    assert data.classes == EMOTIONS
    assert data.report["subjects"] == {"distinct": 11, "images": 71, "in_several_splits": 0}
    assert data.report["kept"] == 71
    assert data.report["duplicates"]["across"] == {
        "train+validation": 0,
        "train+test": 0,
        "validation+test": 0,
    }


def test_images_without_a_subject_beside_others_are_cut_one_by_one(tmp_path):
    source = shapes.flat_folders(tmp_path, FACES)
    data = import_dataset(source, tmp_path / "out", options=WriteOptions(group_from=r"/(1)\d\.png"))
    assert data.report["subjects"] == {"distinct": 1, "images": 10, "in_several_splits": 0}
    assert all(sum(data.counts[split].values()) for split in SPLITS)


def test_a_pattern_that_finds_nobody_is_one_error(tmp_path):
    with pytest.raises(DataError, match="--group-from must find a subject"):
        import_dataset(
            shapes.flat_folders(tmp_path, FACES),
            tmp_path / "out",
            options=WriteOptions(group_from="(nobody)"),
        )
