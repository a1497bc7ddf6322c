"""Every kind of source, made as a small file of its shape and imported: the rows of the table in docs/data.md."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_shapes as shapes
from PIL import Image

from fer_ray.data import SPLITS, checks
from fer_ray.data.importer import import_dataset
from fer_ray.data.opening import FORMATS

FACES = shapes.Faces()
DOCS = Path(__file__).parents[2] / "docs" / "data.md"
#: The rows of the table that say where a source lies, not what it is; tested below and in test_places.py.
PLACES = ["a ZIP archive of any of these", "any of these in an object store"]


def options_of(kind, root):
    return {name: value(root, FACES) if callable(value) else value for name, value in kind.options.items()}


def totals(data):
    return {split: sum(data.counts[split].values()) for split in SPLITS}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What fer2013.csv of the same faces gives."""
    root = tmp_path_factory.mktemp("reference")
    return import_dataset(shapes.fer2013_csv(root, FACES), root / "out")


@pytest.fixture(params=shapes.KINDS, ids=lambda kind: kind.name)
def kind(request):
    return request.param


def test_what_arrives(kind, reference, tmp_path):
    data = import_dataset(kind.make(tmp_path, FACES), tmp_path / "out", **options_of(kind, tmp_path))
    report = data.report
    assert report["source"]["kind"] == kind.reported
    assert report["kept"] == sum(totals(data).values()) == kind.kept
    assert data.classes == tuple(kind.classes)
    assert report["refused"] == kind.refused
    assert report["subjects"]["distinct"] == kind.people
    assert report["subjects"]["in_several_splits"] == 0
    assert kind.license in data.card["license"]
    assert all(totals(data).values())
    if kind.exact:
        assert data.fingerprint == reference.fingerprint


def test_a_zip_of_it_is_the_same(kind, tmp_path):
    source, options = kind.make(tmp_path, FACES), options_of(kind, tmp_path)
    plain = import_dataset(source, tmp_path / "plain", **options)
    if callable(kind.options.get("votes")):
        options["votes"] = str(options["votes"])
    archive = shapes.zip_of(source, tmp_path / "source.zip", wrap="" if source.is_file() else "wrapped/")
    zipped = import_dataset(archive, tmp_path / "zipped", **options)
    assert zipped.fingerprint == plain.fingerprint
    assert zipped.report["refused"] == plain.report["refused"]
    assert zipped.card == plain.card
    assert zipped.report["source"].get("kind") == plain.report["source"].get("kind")
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_the_table_has_a_row_for_each_kind():
    rows = re.findall(r"^\| ([^|]+?) +\|", DOCS.read_text(), re.MULTILINE)
    kinds = [kind.name for kind in shapes.KINDS]
    start = rows.index("source")
    assert rows[start + 1 : start + 1 + len(kinds) + len(PLACES)] == [*kinds, *PLACES]


def test_every_format_that_may_be_said_has_a_kind_or_is_auto():
    assert set(FORMATS) == {"auto", *(kind.reported for kind in shapes.KINDS)} - {"fer_ray data set"}


def test_a_format_can_be_said(kind, tmp_path):
    said = "parquet" if kind.reported == "fer_ray data set" else kind.reported
    options = {**options_of(kind, tmp_path), "format": said}
    data = import_dataset(kind.make(tmp_path, FACES), tmp_path / "out", **options)
    assert data.report["source"]["kind"] == kind.reported


def test_pictures_whose_annotation_refused_them_are_not_kept(tmp_path):
    data = import_dataset(shapes.affectnet_tables(tmp_path, FACES), tmp_path / "out")
    rows = pq.read_table(data.path / "rejected.parquet").to_pylist()
    assert [(row["reason"], row["detail"], row["content"]) for row in rows] == [
        ("no emotion", "no face", b""),
        ("no emotion", "none", b""),
    ]


def test_raf_dbs_list_in_its_right_spelling(tmp_path):
    source = shapes.raf_db(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    (source / "EmoLabel" / "list_patition_label.txt").rename(source / "list_partition_label.txt")
    assert import_dataset(source, tmp_path / "out").fingerprint == plain.fingerprint


def test_raf_dbs_mirror_of_numbered_folders_beside_tables(reference, tmp_path):
    source = shapes.numbered_folders(tmp_path, FACES)
    shapes.write(source / "train_labels.csv", "image,label\n0.png,1\n")
    shapes.write(source / "test_labels.csv", "image,label\n63.png,1\n")
    data = import_dataset(source, tmp_path / "out", label_map="raf-db")
    assert data.fingerprint == reference.fingerprint
    assert data.report["source"]["ignored_files"] == {".csv": 2}


def test_raf_dbs_mirror_in_parquet_files_without_a_description(reference, tmp_path):
    for split in SPLITS:
        rows = [
            {"image": {"bytes": shapes.png(image), "path": None}, "label": shapes.RAF_DB.index(label) + 1}
            for _, image, label, each in FACES
            if each == split
        ]
        (tmp_path / "mirror").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mirror" / f"{split}-00000-of-00001.parquet")
    data = import_dataset(tmp_path / "mirror", tmp_path / "out", label_map="raf-db")
    assert data.fingerprint == reference.fingerprint


def test_faces_are_cut_out_of_pictures_as_they_are_seen(tmp_path):
    source = shapes.expw(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (source / "image").iterdir():
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, "PNG", exif=exif)
    data = import_dataset(source, tmp_path / "out")
    assert data.fingerprint == plain.fingerprint
    assert data.report["checks"] == {checks.TURNED: 70}


@pytest.mark.parametrize("make", [shapes.affectnet_tables, shapes.expw], ids=["AffectNet", "ExpW"])
def test_faces_are_cut_out_of_pictures(make, tmp_path):
    data = import_dataset(make(tmp_path, FACES), tmp_path / "out")
    assert data.image_shape == (shapes.SIDE, shapes.SIDE, 1)
    drawn = {image.tobytes(): label for _, image, label, _ in FACES}
    for split in SPLITS:
        images, labels = data.load(split)
        arrived = [drawn[image.tobytes()] for image in images]
        assert arrived == [data.classes[label] for label in labels]


def test_peaks_of_ck_plus_are_cut_out_by_their_landmarks(tmp_path):
    data = import_dataset(shapes.ck_plus(tmp_path, FACES), tmp_path / "out")
    peaks = {
        FACES.images[person * 10 + frame].tobytes(): shapes.CK_PLUS[person + 1]
        for person in range(7)
        for frame in (2, 3, 4)
    }
    arrived = {
        image.tobytes(): data.classes[label]
        for split in SPLITS
        for image, label in zip(*data.load(split), strict=True)
    }
    assert arrived == peaks
    assert (
        data.report["source"]["ignored_files"]["frames before a peak or of sequences without an emotion"]
        == 49
    )


def test_both_sessions_of_kdef_are_one_person(tmp_path):
    source = shapes.kdef(tmp_path, FACES)
    assert len({path.name for path in source.iterdir()}) == 20
    assert import_dataset(source, tmp_path / "out").report["subjects"]["distinct"] == 10


@pytest.mark.parametrize("make", [shapes.jaffe, shapes.kdef, shapes.ck48], ids=["JAFFE", "KDEF", "CK+48"])
def test_nobody_is_in_two_splits(make, tmp_path):
    from fer_ray.data.known_names import subject_in_name

    data = import_dataset(make(tmp_path, FACES), tmp_path / "out")
    people = {split: {subject_in_name(Path(path).name) for path in paths(data, split)} for split in SPLITS}
    assert all(people.values()) and None not in set.union(*people.values())
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 10
    assert {len(people["validation"]), len(people["test"])} == {1}


def paths(data, split):
    return [
        image["path"] for image in pq.read_table(data.path / f"{split}.parquet").column("image").to_pylist()
    ]


def test_labels_of_hugging_face_come_by_name(tmp_path):
    data = import_dataset(shapes.hugging_face(tmp_path, FACES), tmp_path / "out")
    images, labels = data.load("test")
    expected = {image.tobytes(): label for _, image, label, _ in FACES}
    assert [data.classes[label] for label in labels] == [expected[image.tobytes()] for image in images]
    assert np.bincount(labels).tolist() == [1] * 7
