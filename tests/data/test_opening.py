"""What a source is taken for, and what is said where that cannot be told."""

import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_shapes as shapes
from PIL import Image

from fer_ray.data.entries import Wishes
from fer_ray.data.importer import import_dataset
from fer_ray.data.opening import FORMATS, open_source
from fer_ray.data.options import WriteOptions
from fer_ray.data.parquet_collection import ParquetCollection
from fer_ray.data.places import LocalFolder
from fer_ray.data.schema import PIECE_BYTES
from fer_ray.errors import ConfigError, DataError

FACES = shapes.Faces()


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"auto", "folders", "jaffe", "kdef"}))
def test_a_data_set_without_its_annotations_is_one_error(format, tmp_path):
    with pytest.raises(DataError, match="must hold"):
        import_dataset(shapes.flat_folders(tmp_path, FACES), tmp_path / "out", format=format)


@pytest.mark.parametrize("format", ["jaffe", "kdef"])
def test_a_data_set_without_its_names_is_one_error(format, tmp_path):
    with pytest.raises(DataError, match="70 unknown label"):
        import_dataset(shapes.flat_folders(tmp_path, FACES), tmp_path / "out", format=format)


def test_an_unknown_format_is_one_error(tmp_path):
    with pytest.raises(ConfigError, match=r"must be one of auto, csv, .*'tar'"):
        import_dataset(shapes.flat_folders(tmp_path, FACES), tmp_path / "out", format="tar")


@pytest.mark.parametrize(("make", "format"), [(shapes.fer2013_csv, "parquet"), (shapes.bare_parquet, "csv")])
def test_a_file_of_another_format_is_one_error(make, format, tmp_path):
    with pytest.raises(DataError, match=f"what --format says, {format}"):
        import_dataset(make(tmp_path, FACES), tmp_path / "out", format=format)


def test_folders_named_like_emotions_decide_unless_names_are_asked_for(tmp_path):
    for number, image, label, _ in FACES:
        name = f"A{'FM'[number % 2]}{number // 7 + 1:02d}{shapes.LETTERS['angry']}S.JPG"
        shapes.save(tmp_path / "faces" / label / name, image)
    assert import_dataset(tmp_path / "faces", tmp_path / "a").report["source"]["kind"] == "folders"
    with pytest.raises(DataError, match="two classes"):
        import_dataset(tmp_path / "faces", tmp_path / "b", format="kdef")


def test_the_challenges_archive_holds_its_images_several_times_and_is_read_once(tmp_path):
    folder = tmp_path / "challenge"
    folder.mkdir()
    shapes.icml_csv(folder, FACES)
    shapes.fer2013_csv(folder, FACES).rename(folder / "train.csv")
    (folder / "test.csv").write_text("pixels\n1 2 3 4\n")
    (folder / "fer2013.tar.gz").write_bytes(b"\x1f\x8b\0")
    data = import_dataset(folder, tmp_path / "out")
    assert data.report["source"]["name"] == "icml_face_data.csv"
    assert data.report["images"] == 70
    assert data.report["source"]["ignored_files"] == {".csv": 2, ".gz": 1}


def test_files_beside_those_that_are_read_are_counted(tmp_path):
    source = shapes.split_csvs(tmp_path, FACES)
    shapes.write(source / "LICENSE", "Ask Ada.")
    shapes.write(source / "README", "Faces.")
    report = import_dataset(source, tmp_path / "csvs").report
    assert report["source"]["ignored_files"] == {".csv": 1, "without a suffix": 2}
    shapes.write(shapes.hugging_face(tmp_path, FACES) / "README.md", "Faces.")
    assert import_dataset(tmp_path / "hf", tmp_path / "hfs").report["source"]["ignored_files"] == {".md": 1}
    ours = import_dataset(tmp_path / "hfs", tmp_path / "again").report
    assert ours["source"]["ignored_files"] == {}
    shapes.save(source / "cover.png", FACES.images[0])
    report = import_dataset(source, tmp_path / "said", format="csv").report
    assert report["source"]["ignored_files"] == {".csv": 1, ".png": 1, "without a suffix": 2}


def test_a_csv_file_for_evaluation_alone_is_not_cut_as_if_it_were_all(tmp_path):
    source = shapes.split_csvs(tmp_path, shapes.Faces(210))
    (source / "test.csv").unlink()
    shapes.write(source / "train.csv", "label,pixels\n1,2 3 4 5\n")
    with pytest.raises(DataError, match=r"images to train on.*only validation.*--split"):
        import_dataset(source, tmp_path / "out")
    with pytest.raises(DataError, match="only validation"):
        import_dataset(source / "val.csv", tmp_path / "out")
    data = import_dataset(source / "val.csv", tmp_path / "out", options=WriteOptions(split=(34, 33, 33)))
    assert data.report["kept"] == 21


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"


@pytest.mark.parametrize("name", ["fer2013.csv", "train.csv", "data/train.parquet", "a/faces.zip"])
def test_what_git_lfs_left_behind_is_one_error(name, tmp_path):
    source = shapes.split_csvs(tmp_path, FACES)
    (source / "train.csv").unlink()
    shapes.write(source / name, POINTER)
    with pytest.raises(DataError, match=rf"{name}: the file must be fetched.*git lfs pull"):
        import_dataset(source, tmp_path / "out")


def test_what_git_lfs_left_behind_beside_images_is_one_error_where_it_was_asked_for(tmp_path):
    source = shapes.flat_folders(tmp_path, FACES)
    shapes.write(source / "train.parquet", POINTER)
    assert import_dataset(source, tmp_path / "out").report["kept"] == 70
    with pytest.raises(DataError, match="git lfs pull"):
        import_dataset(source, tmp_path / "asked", format="parquet")


@pytest.mark.parametrize(
    ("make", "pattern"), [(shapes.affectnet_arrays, "*_exp.npy"), (shapes.ck_plus, "*_emotion.txt")]
)
def test_annotations_that_git_lfs_left_behind_are_one_error(make, pattern, tmp_path):
    source = make(tmp_path, FACES)
    next(source.rglob(pattern)).write_text(POINTER)
    with pytest.raises(DataError, match="git lfs pull"):
        import_dataset(source, tmp_path / "out")


def test_votes_that_git_lfs_left_behind_are_one_error(tmp_path):
    votes = shapes.write(tmp_path / "fer2013new.csv", POINTER)
    with pytest.raises(DataError, match="git lfs pull"):
        import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out", votes=votes)


@pytest.mark.parametrize(
    "names", [("a.csv", "b.csv"), ("train.csv", "training.csv"), ("train.csv", "more.csv")]
)
def test_csv_files_that_are_not_one_for_each_split_are_one_error(names, tmp_path):
    for name in names:
        shapes.fer2013_csv(tmp_path / "faces", FACES).rename(tmp_path / "faces" / name)
    with pytest.raises(DataError, match="one for each split"):
        import_dataset(tmp_path / "faces", tmp_path / "out")


def test_csv_files_of_different_sizes_need_one(tmp_path):
    source = shapes.split_csvs(tmp_path, FACES)
    pixels = " ".join(map(str, np.arange(64)))
    (source / "test.csv").write_text("emotion,pixels\n" + "\n".join(f"{n},{pixels}" for n in range(7)))
    with pytest.raises(DataError, match=r"images of one size.*--size"):
        import_dataset(source, tmp_path / "out")
    assert import_dataset(source, tmp_path / "out", size=12).image_shape == (12, 12, 1)


@pytest.mark.parametrize("make", [shapes.flat_folders, shapes.hugging_face])
def test_pieces_hold_few_images_where_these_are_large(make, tmp_path):
    opened = open_source(make(tmp_path, FACES), size=2048)
    pieces = [entries for entries, _ in opened.chunks()]
    assert sum(map(len, pieces)) == 70 and max(map(len, pieces)) == PIECE_BYTES // 2048**2 == 2


def test_pieces_hold_few_rows_where_these_are_large(tmp_path):
    rows = [shapes.png(image) + bytes(1 << 20) for image in FACES.images[:35]]
    table = pa.table({"image": rows, "label": FACES.labels[:35]})
    pq.write_table(table, tmp_path / "faces.parquet", compression="zstd", use_dictionary=False)
    pieces = list(ParquetCollection(LocalFolder(tmp_path), ["faces.parquet"], Wishes()).pieces())
    assert sum(map(len, pieces)) == 35 and max(map(len, pieces)) <= PIECE_BYTES >> 20


def test_another_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "fer2013.tar.gz").write_bytes(b"\x1f\x8b\x08\0\0\0")
    with pytest.raises(DataError, match="Unpack other archives"):
        import_dataset(tmp_path / "fer2013.tar.gz", tmp_path / "out")


def test_an_annotation_that_is_broken_costs_its_image_only(tmp_path):
    source = shapes.affectnet_arrays(tmp_path, shapes.Faces(140))
    (source / "train_set" / "annotations" / "0_exp.npy").write_bytes(b"no array")
    np.save(source / "train_set" / "annotations" / "1_exp.npy", np.array({"a": 1}), allow_pickle=True)
    np.save(source / "train_set" / "annotations" / "2_exp.npy", np.array("11"))
    (source / "train_set" / "annotations" / "3_exp.npy").write_bytes(b"")
    (source / "train_set" / "images" / "4.jpg").unlink()
    data = import_dataset(source, tmp_path / "out")
    assert data.report["refused"] == {"unknown label": 4, "missing file": 1}


def test_lines_of_expw_that_are_broken_cost_their_face_only(tmp_path):
    source = shapes.expw(tmp_path, FACES)
    with (source / "label" / "label.lst").open("a") as file:
        file.write(
            "2.jpg 7 1 2 3\n2.jpg 8 a b c d 1.0 3\n2.jpg 9 11 21 34 24 1.0 9\ngone.jpg 0 1 2 3 4 1.0 3\n\n"
        )
    data = import_dataset(source, tmp_path / "out")
    assert data.report["refused"] == {
        "box outside the image": 1,
        "broken annotation": 2,
        "unknown label": 1,
        "missing file": 1,
    }


def test_boxes_at_the_border_are_clamped(tmp_path):
    source = shapes.expw(tmp_path, FACES)
    with (source / "label" / "label.lst").open("a") as file:
        file.write("2.jpg 7 -5 -5 8 8 60.0 3\n")
    data = import_dataset(source, tmp_path / "out")
    assert data.report["kept"] == 71 and data.report["refused"] == {"box outside the image": 1}


def _with_labels(tmp_path, labels):
    rows = [
        f"{label},{shapes._pixels(image)},Training"
        for label, image in zip(labels, FACES.images, strict=False)
    ]
    return shapes.write(tmp_path / "faces.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")


def test_other_names_in_a_csv_file_are_classes_of_their_own(tmp_path):
    data = import_dataset(_with_labels(tmp_path, ["happy", "bored"] * 35), tmp_path / "out")
    assert data.classes == ("happy", "bored")
    assert any("bored" in warning for warning in data.report["warnings"])


def test_two_spellings_in_a_csv_file_need_a_word(tmp_path):
    source = _with_labels(tmp_path, ["happy", "joy", "sad", "3"] * 17)
    with pytest.raises(DataError, match=r"may stand for the class happy.*happy, joy.*--merge-classes"):
        import_dataset(source, tmp_path / "out")
    data = import_dataset(source, tmp_path / "out", merge_classes=True)
    assert data.classes == ("happy", "sad")


def test_colour_cannot_be_had_from_grey_pixels(tmp_path):
    with pytest.raises(ConfigError, match="--channels: must be grey or auto for CSV files"):
        import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out", channels="rgb")


def test_annotations_that_are_no_numbers_cost_their_image_only(tmp_path):
    faces = shapes.ck_plus(tmp_path, FACES)
    plain = import_dataset(faces, tmp_path / "plain").report
    next(faces.rglob("S005_001_00000005_landmarks.txt")).write_text("nan nan\n")
    emotions = sorted(faces.rglob("*_emotion.txt"))
    emotions[-1].write_text("inf")
    report = import_dataset(faces, tmp_path / "out").report
    assert report["images"] == plain["images"]
    assert 0 < report["refused"].pop("unknown label") - plain["refused"].get("unknown label", 0) <= 3


def test_an_emotion_that_cannot_be_read_costs_its_sequence_and_is_counted(tmp_path):
    archive = shapes.zip_of(shapes.ck_plus(tmp_path, FACES), tmp_path / "ck.zip")
    with zipfile.ZipFile(archive) as file:
        victim = next(i for i in file.infolist() if i.filename.endswith("S005_001_00000005_emotion.txt"))
    content = bytearray(archive.read_bytes())
    content[victim.header_offset + 30 + len(victim.filename)] ^= 0xFF
    archive.write_bytes(content)
    report = import_dataset(archive, tmp_path / "out").report
    assert report["refused"] == {"unknown label": 3} and report["kept"] == 18


def test_originals_in_place_of_aligned_faces_are_counted(tmp_path):
    source = shapes.raf_db(tmp_path, FACES)
    for number in (1, 2):
        (source / "Image" / "aligned" / f"train_{number:05d}_aligned.jpg").unlink()
    report = import_dataset(source, tmp_path / "out").report
    assert report["kept"] == 70
    assert report["source"]["notes"] == {"without an aligned face, taken as they are": 2}


def test_an_archive_in_place_of_an_array_is_no_label(tmp_path):
    faces = shapes.affectnet_arrays(tmp_path, FACES)
    plain = import_dataset(faces, tmp_path / "plain").report["refused"]
    next(iter(sorted(faces.rglob("*_exp.npy")))).write_bytes(b"PK\x03\x04 broken")
    refused = import_dataset(faces, tmp_path / "out").report["refused"]
    assert refused["unknown label"] == plain.get("unknown label", 0) + 1


def test_an_image_that_cannot_be_converted_is_refused(tmp_path):
    faces = shapes.flat_folders(tmp_path, FACES)
    image = Image.frombytes("LAB", (shapes.SIDE, shapes.SIDE), bytes(range(256)) * 3)
    image.save(faces / "happy" / "lab.tif")
    report = import_dataset(faces, tmp_path / "out", channels="grey").report
    assert report["refused"] == {"unreadable": 1} and report["kept"] == 70
