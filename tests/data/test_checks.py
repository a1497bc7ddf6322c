"""What is looked at in every image: each counted, none silent (what is refused is in test_folder_source.py)."""

import numpy as np
import pytest
import source_shapes as shapes
from PIL import Image

from fer_ray.data import checks
from fer_ray.data.describe import summary_lines
from fer_ray.data.importer import import_dataset
from fer_ray.errors import DataError

FACES = shapes.Faces()


@pytest.fixture
def folders(tmp_path):
    return shapes.flat_folders(tmp_path, FACES)


def found(data):
    return data.report["checks"]


def test_faces_have_nothing_to_tell(folders, tmp_path):
    data = import_dataset(folders, tmp_path / "out")
    assert found(data) == {} and data.report["faceless"] == [] and data.report["warnings"] == []


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (0, 0, checks.NEAR_BLACK),
        (0, 25, checks.NEAR_BLACK),
        (0, 26, None),
        (200, 200, checks.FLAT),
        (200, 207, checks.FLAT),
        (200, 208, None),
    ],
)
def test_images_that_can_show_no_face_are_counted_named_and_kept(folders, tmp_path, low, high, name):
    image = np.full((shapes.SIDE, shapes.SIDE), low, np.uint8)
    image[3, 4] = high
    shapes.save(folders / "happy" / "dark.png", image)
    data = import_dataset(folders, tmp_path / "out")
    assert data.report["kept"] == 71
    assert found(data) == ({name: 1} if name else {})
    assert data.report["faceless"] == (["happy/dark.png"] if name else [])
    told = any(warning.startswith("images that can show no face") for warning in data.report["warnings"])
    assert told == bool(name)


def test_black_rows_of_a_csv_file_are_counted_too(tmp_path):
    source = shapes.fer2013_csv(tmp_path, FACES)
    with source.open("a") as file:
        file.write(f"3,{' '.join(['0'] * shapes.SIDE**2)},Training\n")
    data = import_dataset(source, tmp_path / "out")
    assert found(data) == {checks.NEAR_BLACK: 1} and data.report["faceless"] == ["fer2013.csv:72"]


def test_other_sizes_are_counted(folders, tmp_path):
    for path in sorted((folders / "sad").iterdir())[:4]:
        Image.open(path).resize((20, 30)).save(path)
    assert found(import_dataset(folders, tmp_path / "out")) == {checks.RESIZED: 4}


def test_without_a_size_of_most_it_is_the_median_of_the_shorter_sides(folders, tmp_path):
    for side, path in enumerate(sorted(folders.rglob("*.png")), 20):
        Image.open(path).resize((side, side + 3)).save(path)
    data = import_dataset(folders, tmp_path / "out")
    assert data.image_shape == (54, 54, 1)
    assert "median" in data.report["source"]["size"]


@pytest.mark.parametrize(
    ("kind", "orientation", "counted"),
    [("JPEG", 6, 1), ("TIFF", 3, 1), ("PNG", 8, 1), ("JPEG", 1, 0), ("PNG", 77, 0)],
)
def test_images_that_exif_turns_are_counted(folders, tmp_path, kind, orientation, counted):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(FACES.images[0]).save(folders / "happy" / "turned.png", kind, exif=exif)
    assert found(import_dataset(folders, tmp_path / "out")).get(checks.TURNED, 0) == counted


def test_a_turned_photograph_is_measured_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, image, label, _ in FACES:
        (tmp_path / "faces" / label).mkdir(parents=True, exist_ok=True)
        wide = Image.fromarray(np.pad(image, ((0, 0), (0, 8))))
        wide.save(tmp_path / "faces" / label / f"{number}.png", exif=exif)
    assert import_dataset(tmp_path / "faces", tmp_path / "out").image_shape == (24, 16, 1)


def test_grey_stored_as_colour_is_counted_and_kept_grey(folders, tmp_path):
    for path in sorted((folders / "sad").iterdir())[:3]:
        Image.open(path).convert("RGB").save(path)
    data = import_dataset(folders, tmp_path / "out")
    assert data.image_shape[2] == 1
    assert found(data) == {checks.GREY_AS_COLOUR: 3}


def test_grey_in_a_data_set_in_colour_is_counted(folders, tmp_path):
    for number, path in enumerate(sorted(folders.rglob("*.png"))):
        grey = np.asarray(Image.open(path))
        if number >= 5:
            shapes.save(path, np.stack([grey, grey // 2, 255 - grey], axis=-1))
        elif number >= 2:
            Image.open(path).convert("RGB").save(path)
    data = import_dataset(folders, tmp_path / "out")
    assert data.image_shape[2] == 3
    assert found(data) == {checks.GREY_AMONG_COLOUR: 5}


def test_colour_that_is_made_grey_is_counted(folders, tmp_path):
    path = folders / "sad" / "colour.png"
    shapes.save(path, np.stack([FACES.images[0], 255 - FACES.images[0], FACES.images[1]], axis=-1))
    assert found(import_dataset(folders, tmp_path / "out")) == {checks.COLOUR_TO_GREY: 1}


def test_the_summary_tells_them(folders, tmp_path):
    shapes.save(folders / "happy" / "dark.png", np.zeros((20, 20), np.uint8))
    lines = list(summary_lines(import_dataset(folders, tmp_path / "out")))
    assert "Checks: another size, resized: 1, near-black: 1" in lines
    assert any(line.startswith("Warning: images that can show no face") for line in lines)


def test_a_class_that_a_split_lacks_is_told(tmp_path):
    source = shapes.class_folders(tmp_path, FACES)
    for path in (source / "images" / "test" / "joy").iterdir():
        path.unlink()
    warnings = import_dataset(source, tmp_path / "out").report["warnings"]
    assert warnings == ["happy has no test images"]


def test_pointers_of_git_lfs_in_place_of_annotations_are_one_error(tmp_path):
    source = shapes.expw(tmp_path, FACES)
    (source / "label" / "label.lst").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(DataError, match="git lfs pull"):
        import_dataset(source, tmp_path / "out")
