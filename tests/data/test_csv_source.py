import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from fer_ray.data import SPLITS, csv_source
from fer_ray.data.importer import import_dataset
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.errors import DataError

SPLIT_OF = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}


def rejected(data):
    return pq.read_table(data.path / "rejected.parquet").to_pylist()


def test_every_pixel_and_label_arrives(faces, tmp_path):
    data = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out")
    assert data.image_shape == (12, 12, 1)
    assert data.classes == EMOTIONS
    for split in SPLITS:
        rows = [i for i, usage in enumerate(faces.usages) if SPLIT_OF[usage] == split]
        images, labels = data.load(split)
        assert (images[..., 0] == faces.images[rows]).all()
        assert [data.classes[label] for label in labels] == [faces.labels[i] for i in rows]
    assert data.report["images"] == data.report["kept"] == data.report["distinct"] == 80
    assert data.report["splits"] == "as the source has them"
    assert rejected(data) == []


def test_a_file_and_a_folder_whose_names_are_no_text_are_read(faces, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    source = faces.write_csv(folder / os.fsdecode(b"f\xe9r.csv"))
    for number, path in enumerate((folder, source)):
        data = import_dataset(path, tmp_path / f"out{number}")
        images = pq.read_table(data.path / "train.parquet").column("image").to_pylist()
        assert images[0]["path"] == "f\ufffdr.csv:2"


def test_columns_in_another_order_with_spaces_in_their_names(faces, tmp_path):
    lines = ["emotion, Usage, pixels"]
    for row in faces.rows():
        emotion, pixels, usage = row.split(",")
        lines.append(f"{emotion},{usage},{pixels}")
    (tmp_path / "icml.csv").write_text("\n".join(lines))
    first = import_dataset(tmp_path / "icml.csv", tmp_path / "a")
    second = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "b")
    assert first.fingerprint == second.fingerprint


def test_byte_order_mark_windows_line_ends_and_quotes(faces, tmp_path):
    plain = import_dataset(faces.write_csv(tmp_path / "plain.csv"), tmp_path / "a")
    rows = [",".join(f'"{cell}"' for cell in row.split(",")) for row in faces.rows()]
    content = b"\xef\xbb\xbf" + "\r\n".join(["emotion,pixels,Usage", *rows]).encode()
    (tmp_path / "windows.csv").write_bytes(content)
    assert import_dataset(tmp_path / "windows.csv", tmp_path / "b").fingerprint == plain.fingerprint


def test_bad_rows_are_kept_with_line_and_reason(faces, tmp_path):
    good = faces.rows()[0].split(",")[1]
    bad = {
        f"9,{good},Training": "unknown label",
        f",{good},Training": "unknown label",
        f"3,{good},Holiday": "unknown split",
        f"3,{good} 1,Training": "wrong pixel count",
        "3,,Training": "wrong pixel count",
        f"3,{good[:-3]} x,Training": "non-numeric pixel value",
        f"3,{good[: good.rindex(' ')]} 256,Training": "pixel value out of range",
        "3,1 2": "wrong number of columns",
    }
    source = faces.write_csv(tmp_path / "fer.csv", more=[*bad, "3,1 2 3 4,5,6", faces.rows()[1]])
    data = import_dataset(source, tmp_path / "out")
    found = sorted(rejected(data), key=lambda row: int(row["path"].split(":")[1]))
    copies = [row for row in found if row["reason"] == "copy of an evaluation image"]
    refused = [row for row in found if row not in copies]
    assert [row["reason"] for row in refused] == [*bad.values(), "wrong number of columns"]
    assert [row["path"] for row in refused] == [f"fer.csv:{82 + i}" for i in range(9)]
    assert [row["content"].decode() for row in refused] == [*bad, "3,1 2 3 4,5,6"]
    assert data.report["refused"]["unknown label"] == 2
    assert data.report["images"] == 80 + 9 + 1 and data.report["accepted"] == 81


def test_lines_stay_right_after_a_malformed_row(faces, tmp_path):
    lines = ["emotion,pixels,Usage", "1,2", *faces.rows()]
    (tmp_path / "fer.csv").write_text("\n".join(lines))
    data = import_dataset(tmp_path / "fer.csv", tmp_path / "out")
    images = pq.read_table(data.path / "train.parquet").column("image").to_pylist()
    assert images[0]["path"] == "fer.csv:3"


def test_names_of_emotions_as_labels(faces, tmp_path):
    lines = ["emotion,pixels"]
    lines += [
        f"{label},{row.split(',')[1]}" for label, row in zip(faces.labels * 4, faces.rows() * 4, strict=True)
    ]
    (tmp_path / "named.csv").write_text("\n".join(lines))
    data = import_dataset(tmp_path / "named.csv", tmp_path / "out", options=WriteOptions(split=(60, 20, 20)))
    assert data.classes == EMOTIONS
    assert "made anew, as asked: by class, 60/20/20%" in data.report["splits"]
    assert data.report["duplicates"]["dropped"] == {"train": 0, "validation": 0, "test": 0}


def test_resizing(faces, tmp_path):
    data = import_dataset(faces.write_csv(tmp_path / "fer.csv"), tmp_path / "out", size=8)
    assert data.image_shape == (8, 8, 1)
    images, _ = data.load("train")
    assert abs(images.mean() - np.mean(faces.images)) < 8
    assert "resized from 12 to 8" in data.report["source"]["images"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("a,b,c\n1,2,3\n", "must have a header"),
        ("3,1 2 3 4,Training\n", "must have a header"),
        ("pixels\n1 2 3 4\n", "must have a header"),
        ("emotion,pixels,Usage\n", "at least one row"),
        ("emotion,pixels,Usage\n3,1 2 3,Training\n", "square"),
        ("emotion,pixels,Usage\n3,,Training\n", "square"),
        ("emotion,pixels,Usage\n3,a b c d,Training\n", "1 non-numeric pixel value"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
        ("PK\x03\x04\0\0", "whole ZIP archive"),
        ("\x89PNG\0", "binary file of another kind"),
        ("PAR1\0", "whole Parquet file"),
    ],
)
def test_what_is_no_data_set_is_one_error(tmp_path, content, message):
    (tmp_path / "source.csv").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=message):
        import_dataset(tmp_path / "source.csv", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["source.csv"]


def test_a_missing_source(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        import_dataset(tmp_path / "none.csv", tmp_path / "out")


def test_malformed_rows_in_a_last_block_of_their_own_are_kept(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_source, "_BLOCK_BYTES", 2000)
    more = [f"3,{'x' * 900}"] * 7
    data = import_dataset(faces.write_csv(tmp_path / "fer.csv", more=more), tmp_path / "out")
    assert data.report["kept"] == 80
    assert data.report["refused"] == {"wrong number of columns": 7}
    assert [row["path"] for row in rejected(data)] == [f"fer.csv:{82 + i}" for i in range(7)]
