import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_shapes as shapes

from fer_ray.data import SPLITS
from fer_ray.data.importer import import_dataset
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.errors import DataError

FACES = shapes.Faces()
IMAGES = [shapes.png(image) for _, image, _, _ in FACES]
LABELS = [label for _, _, label, _ in FACES]


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """What the same faces give from class folders without splits."""
    root = tmp_path_factory.mktemp("flat")
    return import_dataset(shapes.flat_folders(root, FACES), root / "out")


def write(path, columns, features=None):
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(
    "columns",
    [
        {"image": IMAGES, "label": LABELS},
        {"label": LABELS, "img": [{"bytes": b, "path": None} for b in IMAGES], "id": list(range(70))},
        {"Emotion": pa.array(LABELS).dictionary_encode(), "face": pa.array(IMAGES, pa.large_binary())},
        {"expression": pa.array(LABELS, pa.large_string()), "jpeg": IMAGES, "thumbnail": IMAGES},
    ],
    ids=["binary", "struct", "dictionary and large", "two pictures"],
)
def test_columns_are_found_by_type_and_usual_name(columns, flat, tmp_path):
    data = import_dataset(write(tmp_path / "faces.parquet", columns), tmp_path / "out")
    assert data.fingerprint == flat.fingerprint


def test_hugging_faces_description_decides(flat, tmp_path):
    names = sorted(EMOTIONS)
    columns = {
        "label": [0] * 70,
        "feeling": [names.index(label) for label in LABELS],
        "image": [b""] * 70,
        "photo": [{"bytes": b, "path": f"{n}.png"} for n, b in enumerate(IMAGES)],
    }
    features = {"photo": {"_type": "Image"}, "feeling": {"_type": "ClassLabel", "names": names}}
    data = import_dataset(write(tmp_path / "faces.parquet", columns, features), tmp_path / "out")
    assert data.fingerprint == flat.fingerprint


@pytest.mark.parametrize(
    "files",
    [
        ("train-00000-of-00001.parquet", "validation-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("default/train/0000.parquet", "default/valid/0000.parquet", "default/test/0000.parquet"),
        ("data/train.parquet", "data/dev.parquet", "data/eval.parquet"),
        (
            "train-00000-of-00001-a1b2c3.parquet",
            "val-00000-of-00001-a1b2c3.parquet",
            "test-0-of-1-a1.parquet",
        ),
    ],
)
def test_splits_are_in_the_names_of_files_and_folders(files, tmp_path):
    for file, split in zip(files, ("train", "validation", "test"), strict=True):
        rows = [n for n, _, _, each in FACES if each == split]
        columns = {"image": [IMAGES[n] for n in rows], "label": [LABELS[n] for n in rows]}
        write(tmp_path / "hf" / file, columns)
    data = import_dataset(tmp_path / "hf", tmp_path / "out")
    expected = import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "csv")
    assert data.fingerprint == expected.fingerprint
    assert data.report["source"]["files"] == 3


def test_rows_that_say_too_little_are_refused_and_counted(tmp_path):
    columns = {
        "image": [*IMAGES[:64], None, b"", b"no image", *IMAGES[67:]],
        "label": [*LABELS[:67], None, *LABELS[68:]],
        "split": [*["train"] * 66, *["test"] * 3, "holiday"],
    }
    data = import_dataset(write(tmp_path / "faces.parquet", columns), tmp_path / "out")
    assert data.report["refused"] == {"unreadable": 2, "zero-byte": 1, "unknown label": 1, "unknown split": 1}
    paths = pq.read_table(data.path / "rejected.parquet").column("path").to_pylist()
    assert paths == [f"faces.parquet:{row}" for row in (64, 65, 66, 67, 69)]


def test_minus_one_is_hugging_faces_word_for_no_label(tmp_path):
    source = shapes.hugging_face(tmp_path, FACES)
    path = source / "data" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    labels = pa.array([-1, *table.column("label").to_pylist()[1:]], pa.int64())
    pq.write_table(table.set_column(1, table.schema.field("label"), labels), path)
    assert import_dataset(source, tmp_path / "out").report["refused"] == {"unknown label": 1}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": LABELS}, r"one column of images.*label \(string\)"),
        ({"image": IMAGES}, r"one column of labels"),
        ({"image": IMAGES, "label": np.linspace(0, 1, 70)}, r"one column of labels.*label \(double\)"),
        (
            {"a": IMAGES, "b": IMAGES, "label": LABELS},
            r"one column of images.*Name the column of the images image",
        ),
    ],
)
def test_what_has_no_images_or_labels_is_one_error(columns, message, tmp_path):
    with pytest.raises(DataError, match=message):
        import_dataset(write(tmp_path / "faces.parquet", columns), tmp_path / "out")


def test_a_file_cut_short_is_one_error(tmp_path):
    path = shapes.bare_parquet(tmp_path, FACES)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="whole Parquet file"):
        import_dataset(path, tmp_path / "out", label_map="raf-db")


def test_what_an_import_refused_does_not_come_back(tmp_path):
    source = shapes.flat_folders(tmp_path, FACES)
    (source / "happy" / "broken.png").write_bytes(b"no image")
    first = import_dataset(source, tmp_path / "out")
    assert first.report["refused"] == {"unreadable": 1}
    again = import_dataset(first.path, tmp_path / "again")
    assert again.report["refused"] == {} and again.fingerprint == first.fingerprint


def test_our_split_files_need_no_description(tmp_path):
    first = import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out")
    shutil.copytree(first.path, tmp_path / "bare")
    (tmp_path / "bare" / "dataset.json").unlink()
    again = import_dataset(tmp_path / "bare", tmp_path / "again")
    assert (again.fingerprint, again.report["source"]["kind"]) == (first.fingerprint, "parquet")


def test_a_description_that_is_broken_is_one_error(tmp_path):
    first = import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out")
    (first.path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"whole dataset\.json"):
        import_dataset(first.path, tmp_path / "again")


def test_images_of_one_base_name_are_told_apart(tmp_path):
    rows = [
        {"image": {"bytes": shapes.png(image), "path": f"{number // 7}.png"}, "label": label}
        for number, image, label, _ in FACES
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    options = WriteOptions(split=(80, 10, 10))
    data = import_dataset(tmp_path / "train.parquet", tmp_path / "out", options=options)
    tables = [pq.read_table(data.path / f"{split}.parquet") for split in SPLITS]
    paths = [image["path"] for table in tables for image in table.column("image").to_pylist()]
    assert len(set(paths)) == len(paths) == 70


@pytest.mark.parametrize(
    ("shares", "received"),
    [([0.5] * 7, "0.5"), ([2.0, -1.0, 0, 0, 0, 0, 0], "-1.0"), ([None, 1.0, 0, 0, 0, 0, 0], "None")],
)
def test_shares_that_are_none_are_one_error(shares, received, tmp_path):
    source = shapes.own_data_set(tmp_path, FACES) / "test.parquet"
    table = pq.read_table(source)
    column = pa.FixedSizeListArray.from_arrays(pa.array([1, *[0] * 6, *shares] + [0] * 35, pa.float32()), 7)
    pq.write_table(table.append_column("soft_label", column), source)
    with pytest.raises(DataError, match=rf"test\.parquet:1: shares in soft_label.*sum to 1.*{received}"):
        import_dataset(source.parent, tmp_path / "again")


def test_shares_of_another_number_of_classes_are_not_taken(tmp_path):
    source = shapes.own_data_set(tmp_path, FACES)
    for file in source.glob("*.parquet"):
        if file.name == "rejected.parquet":
            continue
        table = pq.read_table(file)
        shares = pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.5] * len(table), pa.float32()), 2)
        pq.write_table(table.append_column("soft_label", shares), file)
    data = import_dataset(source, tmp_path / "again")
    assert data.report["kept"] == 70 and not data.report.get("soft_labels")
