"""What is seen of a data set is what its arrays hold."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_ray.data.importer import import_dataset
from fer_ray.data.survey import survey
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import DataError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("survey") / "faces", images=300, size=16)


def rewrite(path, change):
    """Rewrites a split's rows."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_brightness_contrast_and_means_are_those_of_the_arrays(data):
    found = survey(data)
    for split, seen in found.splits.items():
        images, _ = data.load(split)
        assert seen.images == len(images)
        np.testing.assert_allclose(seen.brightness, images.mean(axis=(1, 2, 3)))
        np.testing.assert_allclose(seen.contrast, images.std(axis=(1, 2, 3)))
    images, labels = data.load("train")
    means = found.mean_images()
    assert tuple(means) == data.classes
    for label, name in enumerate(data.classes):
        np.testing.assert_array_equal(means[name], np.rint(images[labels == label].mean(axis=0)))


def test_samples_are_distinct_images_of_their_class_and_split(data):
    found = survey(data, images=4, seed=3)
    for split, seen in found.splits.items():
        images, labels = data.load(split)
        for label, name in enumerate(data.classes):
            faces = seen.samples[name]
            own = {image.tobytes() for image in images[labels == label]}
            assert len(faces) == min(4, len(own)) == len({face.path for face in faces})
            assert {face.image.tobytes() for face in faces} <= own
            assert {(face.label, face.split) for face in faces} <= {(name, split)}


def test_a_seed_decides_which(data):
    def paths(seed):
        return [f.path for faces in survey(data, seed=seed).splits["train"].samples.values() for f in faces]

    assert paths(1) == paths(1) != paths(2)


def test_of_a_large_split_a_part_is_measured(data):
    whole, part = survey(data), survey(data, most=50)
    train = part.splits["train"]
    assert train.images == 240
    assert len(train.brightness) == len(train.contrast) == train.measured.sum() == 50
    assert set(train.brightness) < set(whole.splits["train"].brightness)
    assert all(len(faces) == 6 for faces in train.samples.values())


def test_pieces_of_a_few_images_give_the_same(data, monkeypatch):
    whole = survey(data)
    monkeypatch.setattr("fer_ray.data.survey._PIECE", 7 * 16 * 16)
    told = []
    pieces = survey(data, progress=lambda *step: told.append(step))
    assert len(told) > 40 and told[-1] == ("looking at test (images)", 30, 30)
    for split, seen in pieces.splits.items():
        np.testing.assert_allclose(seen.brightness, whole.splits[split].brightness)
        np.testing.assert_allclose(seen.sums, whole.splits[split].sums)


def test_without_samples_there_are_none(data):
    assert not any(any(seen.samples.values()) for seen in survey(data, images=0).splits.values())


def test_conflicts_show_the_image_that_all_their_copies_are(make_faces, tmp_path):
    faces = make_faces(80)
    row = faces.rows()[0]
    other = (int(row[0]) + 1) % 7
    more = [
        f"{other},{row.split(',', 1)[1]}",
        f"{other},{row.split(',', 1)[1].replace('Training', 'PrivateTest')}",
    ]
    data = import_dataset(faces.write_csv(tmp_path / "fer2013.csv", more=more), tmp_path / "out")
    (conflict,) = survey(data).conflicts
    np.testing.assert_array_equal(conflict.image[..., 0], faces.images[0])
    assert [(copy["split"], copy["kept"]) for copy in conflict.copies] == [
        ("train", False),
        ("train", False),
        ("test", True),
    ]


def test_blank_images_are_found_and_named(make_faces, tmp_path):
    faces = make_faces(80)
    faces.images[0] = 0
    faces.images[4] = 200 + np.arange(144).reshape(12, 12) % 7
    data = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out")
    train = survey(data).splits["train"]
    assert train.blank_images == 2
    assert [face.path for face in train.blank] == ["fer2013.csv:2", "fer2013.csv:6"]
    assert train.blank[0].label == faces.labels[0] and not train.blank[0].image.any()


def test_of_very_many_classes_the_largest_are_shown(make_faces, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_ray.data.survey.MOST_CLASSES", 3)
    data = import_dataset(make_faces(80).write_csv(tmp_path / "fer2013.csv"), tmp_path / "out")
    found = survey(data)
    assert len(found.classes) == 3 and list(found.mean_images()) == list(found.classes)
    shown = min(data.counts["train"][name] for name in found.classes)
    assert all(data.counts["train"][c] <= shown for c in data.classes if c not in found.classes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[3]["image"].update(bytes=b"broken"), "must be a PNG"),
        (lambda rows: rows[3]["image"].update(bytes=None), "whole split file"),
        (lambda rows: rows[3].update(label=7), "labels from 0 to 7"),
    ],
)
def test_a_broken_split(tmp_path, change, message):
    data = write_synthetic(tmp_path / "faces", images=60, size=16)
    rewrite(tmp_path / "faces" / "train.parquet", change)
    with pytest.raises(DataError, match=rf"train\.parquet.*{message}.*Import the source again"):
        survey(data)
