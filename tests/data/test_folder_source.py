import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fer_ray.data.importer import import_dataset
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.errors import DataError


@pytest.fixture
def folders(faces, tmp_path):
    return faces.write_folders(tmp_path / "faces")


def totals(data):
    return {split: sum(classes.values()) for split, classes in data.counts.items()}


def test_folders_and_csv_of_the_same_images_have_one_fingerprint(faces, folders, tmp_path):
    from_folders = import_dataset(folders, tmp_path / "a")
    from_csv = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "b")
    assert from_folders.fingerprint == from_csv.fingerprint
    assert from_folders.classes == from_csv.classes == EMOTIONS
    assert from_folders.counts == from_csv.counts


def test_official_splits_come_back_from_file_names(faces, folders, tmp_path):
    data = import_dataset(folders, tmp_path / "out")
    assert totals(data) == {"train": 40, "validation": 20, "test": 20}
    paths = pq.read_table(data.path / "validation.parquet").column("image").to_pylist()
    assert all(image["path"].startswith("test/") and "/PublicTest_" in image["path"] for image in paths)
    assert data.report["source"]["notes"] == {"in the split of their file's name, not their folder's": 20}


def test_other_spellings_wrappers_and_clutter(make_faces, tmp_path):
    spellings = ("Anger", "1_disgusted", "Scared", "JOY", "Sadness", "Suprise", "normal")
    spelling = dict(zip(EMOTIONS, spellings, strict=True))
    splits = {"Training": "Train", "PublicTest": "VALID", "PrivateTest": "testing"}
    faces = make_faces(80)
    root = faces.write_folders(
        tmp_path / "zip",
        lambda f, i: f"data/images/{splits[f.usages[i]]}/{spelling[f.labels[i]]}/{i}.png",
    )
    (root / "__MACOSX").mkdir()
    Image.new("L", (12, 12)).save(root / "__MACOSX" / "x.png")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "data" / "README.txt").write_text("hello")
    data = import_dataset(root, tmp_path / "out")
    assert data.classes == EMOTIONS
    assert totals(data) == {"train": 40, "validation": 20, "test": 20}
    assert data.report["source"]["ignored_files"] == {".txt": 1}
    assert data.report["source"]["class_folders"]["JOY"] == "happy"


def test_flat_folders_are_cut_by_class(make_faces, tmp_path):
    faces = make_faces(210)
    root = faces.write_folders(tmp_path / "flat", lambda f, i: f"{f.labels[i]}/{i}.png")
    data = import_dataset(root, tmp_path / "out")
    assert totals(data) == {"train": 168, "validation": 21, "test": 21}
    assert all(data.counts["test"][name] for name in EMOTIONS)


def test_flat_folders_and_a_csv_without_usage_are_cut_alike(make_faces, tmp_path):
    faces = make_faces(210)
    root = faces.write_folders(tmp_path / "flat", lambda f, i: f"{f.labels[i]}/{i}.png")
    lines = ["emotion,pixels", *(row.rpartition(",")[0] for row in faces.rows())]
    (tmp_path / "fer.csv").write_text("\n".join(lines))
    prints = [
        import_dataset(path, tmp_path / f"{path.stem}_out").fingerprint
        for path in (root, tmp_path / "fer.csv")
    ]
    assert prints[0] == prints[1]


def test_splits_inside_classes(make_faces, tmp_path):
    place = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    root = make_faces(80).write_folders(
        tmp_path / "by_class", lambda f, i: f"{f.labels[i]}/{place[f.usages[i]]}/{i}.png"
    )
    assert totals(import_dataset(root, tmp_path / "out")) == {"train": 40, "validation": 20, "test": 20}


def test_of_several_split_folders_the_innermost_decides(make_faces, tmp_path):
    place = {"Training": "train", "PublicTest": "val", "PrivateTest": "test_set"}
    faces = make_faces(80)
    roots = [
        faces.write_folders(
            tmp_path / "wrapped", lambda f, i: f"Training/{place[f.usages[i]]}/{f.labels[i]}/{i}.png"
        ),
        faces.write_folders(
            tmp_path / "inside", lambda f, i: f"{f.labels[i]}/{place[f.usages[i]]}/more/{i}.png"
        ),
    ]
    for root in roots:
        data = import_dataset(root, tmp_path / f"{root.name}_out")
        assert data.classes == EMOTIONS
        assert totals(data) == {"train": 40, "validation": 20, "test": 20}
        assert data.report["unsplit"] == 0


def test_images_in_no_split_folder_beside_others_are_told(make_faces, tmp_path):
    place = {"Training": "train", "PublicTest": "val", "PrivateTest": "holdout"}
    root = make_faces(160).write_folders(
        tmp_path / "faces", lambda f, i: f"{place[f.usages[i]]}/{f.labels[i]}/{i}.png"
    )
    report = import_dataset(root, tmp_path / "out").report
    assert report["unsplit"] == 40
    assert "40 images without a split, used for training" in report["warnings"]
    options = WriteOptions(split=(34, 33, 33))
    assert import_dataset(root, tmp_path / "cut", options=options).report["unsplit"] == 0


def test_a_stray_image_does_not_hide_a_wrapper(make_faces, tmp_path):
    kinds = ("zebra", "ant")
    root = make_faces(60).write_folders(tmp_path / "animals", lambda f, i: f"images/{kinds[i % 2]}/{i}.png")
    Image.new("L", (12, 12)).save(root / "cover.png")
    data = import_dataset(root, tmp_path / "out")
    assert data.classes == ("ant", "zebra") and data.report["refused"] == {"unknown label": 1}


def test_another_case_is_the_same_class(make_faces, tmp_path):
    spelled = {"Training": "train/Bored", "PublicTest": "val/bored", "PrivateTest": "test/BORED"}
    root = make_faces(80).write_folders(
        tmp_path / "faces",
        lambda f, i: (
            f"{spelled[f.usages[i]]}/{i}.png"
            if i % 3
            else f"{spelled[f.usages[i]].split('/')[0]}/happy/{i}.png"
        ),
    )
    shutil.copytree(root / "test" / "BORED", root / "train" / "bored")
    data = import_dataset(
        root, tmp_path / "out", options=WriteOptions(classes=("bored", "happy"), keep_duplicates=True)
    )
    assert data.classes == ("happy", "BORED")
    assert all(data.counts[split]["BORED"] for split in data.counts)


def test_other_classes_than_emotions(make_faces, tmp_path):
    kinds = ("zebra", "ant")
    root = make_faces(60).write_folders(tmp_path / "animals", lambda f, i: f"{kinds[i % 2]}/{i}.png")
    data = import_dataset(root, tmp_path / "out")
    assert data.classes == ("ant", "zebra")
    assert data.card == {}
    assert data.report["warnings"] == []


def test_a_strange_class_among_emotions_is_kept_with_a_warning(faces, folders, tmp_path):
    shutil.copytree(folders / "train" / "happy", folders / "train" / "bored")
    data = import_dataset(folders, tmp_path / "out")
    assert data.classes == (*EMOTIONS, "bored")
    assert any("bored" in warning for warning in data.report["warnings"])


def test_two_folders_of_one_emotion_need_a_word(folders, tmp_path):
    shutil.copytree(folders / "train" / "happy", folders / "train" / "Joy")
    with pytest.raises(DataError, match=r"Joy, happy.*--merge-classes"):
        import_dataset(folders, tmp_path / "out")
    data = import_dataset(folders, tmp_path / "out", merge_classes=True)
    assert data.classes == EMOTIONS


def test_two_folders_of_one_emotion_for_training_need_a_word_wherever_they_lie(folders, tmp_path):
    (folders / "more").mkdir()
    shutil.copytree(folders / "train" / "happy", folders / "more" / "Joy")
    with pytest.raises(DataError, match=r"Joy, happy.*--merge-classes"):
        import_dataset(folders, tmp_path / "out")


def test_a_class_folder_whose_name_is_no_text_is_one_error(folders, tmp_path):
    os.rename(folders / "train" / "happy", os.fsencode(folders / "train") + b"/caf\xe9")
    with pytest.raises(DataError, match=r"class folders must be UTF-8\. Received: caf\ufffd\. Rename"):
        import_dataset(folders, tmp_path / "out")


def test_a_link_whose_name_is_no_text_is_counted(folders, tmp_path):
    os.symlink(os.fsencode(folders / "train"), os.fsencode(folders) + b"/caf\xe9")
    assert import_dataset(folders, tmp_path / "out").report["refused"] == {"link to a folder": 1}


def test_numbered_folders_are_never_guessed(make_faces, tmp_path):
    root = make_faces(30).write_folders(tmp_path / "n", lambda f, i: f"{EMOTIONS.index(f.labels[i])}/{i}.png")
    with pytest.raises(DataError, match=r"need names.*--label-map"):
        import_dataset(root, tmp_path / "out")


def test_refused_files_are_kept_with_their_reason(folders, tmp_path):
    victims = folders / "train" / "happy"
    whole = next(victims.iterdir()).read_bytes()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(victims / "b.jpg")
    (victims / "b.jpg").write_bytes((victims / "b.jpg").read_bytes()[:-900])
    (victims / "a.png").write_bytes(b"")
    (victims / "c.png").write_bytes(b"GIF? no")
    (victims / "d.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n")
    (victims / "e.png").write_bytes(whole[:-30])
    (folders / "train" / "loose.png").write_bytes(whole)
    data = import_dataset(folders, tmp_path / "out")
    rows = {row["path"]: row for row in pq.read_table(data.path / "rejected.parquet").to_pylist()}
    reasons = {path: row["reason"] for path, row in rows.items()}
    assert reasons == {
        "train/happy/a.png": "zero-byte",
        "train/happy/b.jpg": "truncated",
        "train/happy/c.png": "unreadable",
        "train/happy/d.png": "LFS pointer",
        "train/happy/e.png": "truncated",
        "train/loose.png": "unknown label",
    }
    assert rows["train/happy/c.png"]["content"] == b"GIF? no"
    assert data.report["refused"]["truncated"] == 2
    assert data.report["images"] == 86 and data.report["kept"] == 80


def test_other_sizes_are_made_the_commonest(folders, tmp_path):
    odd = sorted((folders / "train").rglob("*.png"))[:5]
    for path in odd:
        Image.open(path).resize((30, 20)).save(path)
    data = import_dataset(folders, tmp_path / "out")
    assert data.image_shape == (12, 12, 1)
    assert data.report["checks"]["another size, resized"] == 5
    assert import_dataset(folders, tmp_path / "asked", size=10).image_shape == (10, 10, 1)


def test_grey_stored_as_colour_stays_grey_and_the_same(faces, folders, tmp_path):
    plain = import_dataset(folders, tmp_path / "a")
    for path in folders.rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    data = import_dataset(folders, tmp_path / "b")
    assert data.fingerprint == plain.fingerprint
    assert import_dataset(folders, tmp_path / "c", channels="rgb").image_shape == (12, 12, 3)


def test_real_colour_stays_colour(folders, tmp_path):
    for path in folders.rglob("*.png"):
        grey = np.asarray(Image.open(path))
        Image.fromarray(np.stack([grey, grey // 2, 255 - grey], -1)).save(path)
    data = import_dataset(folders, tmp_path / "a")
    assert data.image_shape == (12, 12, 3)
    images, _ = data.load("test")
    assert (images[..., 1] == images[..., 0] // 2).all()
    assert import_dataset(folders, tmp_path / "b", channels="grey").image_shape == (12, 12, 1)


@pytest.mark.parametrize("mode", ["LA", "P", "RGBA", "I;16", "1", "CMYK"])
def test_other_pixel_formats_are_read(folders, tmp_path, mode):
    path = sorted((folders / "train").rglob("*.png"))[0]
    flat = Image.new("L", (12, 12), 255)
    picture = Image.fromarray(np.full((12, 12), 65535, np.uint16)) if mode == "I;16" else flat.convert(mode)
    picture.save(path, "TIFF" if mode == "CMYK" else "PNG")
    data = import_dataset(folders, tmp_path / "out")
    assert data.report["refused"] == {}
    images, _ = data.load("train")
    assert (images.min(axis=(1, 2, 3)) == 255).sum() == 1


def test_photographs_are_turned_upright(folders, tmp_path):
    path = sorted((folders / "train").rglob("*.png"))[0]
    picture = Image.new("L", (12, 12), 0)
    picture.paste(255, (0, 0, 12, 6))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(path, exif=exif)
    images, _ = import_dataset(folders, tmp_path / "out").load("train")
    assert (images[:, :6] == 0).all(axis=(1, 2, 3)).sum() == 1


@pytest.mark.parametrize("names", [[], ["a.png"], ["train/a.png", "test/b.png"], ["notes.txt"]])
def test_what_is_no_data_set_is_one_error(tmp_path, names):
    root = tmp_path / "source"
    root.mkdir()
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(root / name, "PNG")
    with pytest.raises(DataError, match="one folder for each class"):
        import_dataset(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_whose_name_is_no_text_is_read(folders, tmp_path):
    odd = os.fsencode(folders / "train" / "happy") + b"/\xff.png"
    Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12)).save(tmp_path / "odd.png")
    os.rename(tmp_path / "odd.png", odd)
    data = import_dataset(folders, tmp_path / "out")
    assert data.report["kept"] == 81
    paths = pq.read_table(data.path / "train.parquet").column("image").to_pylist()
    assert "train/happy/\ufffd.png" in [image["path"] for image in paths]


def test_a_data_set_can_be_imported_again(folders, tmp_path):
    first = import_dataset(folders, tmp_path / "out", card={"license": "Mine."})
    again = import_dataset(first.path, tmp_path / "again")
    assert (again.fingerprint, again.card) == (first.fingerprint, first.card)
