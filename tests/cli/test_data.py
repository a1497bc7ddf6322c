"""`fer-ray data`, as a user types it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.synthetic import draw_faces
from fer_ray.errors import FerRayError

MAIN = "from fer_ray.cli.app import main; main()"


def fer_ray(*words, code=0):
    result = CliRunner().invoke(app, ["data", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture
def csv(tmp_path):
    images, labels = draw_faces(60, seed=0, size=16)
    usages = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
    lines = [
        f"{label},{' '.join(map(str, image.ravel()))},{usages[i % 5]}"
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *lines, lines[3].replace("PublicTest", "Training")]))
    return path


def test_import_reports_what_it_found(csv, tmp_path):
    text = fer_ray("import", csv, "--out", tmp_path / "faces")
    assert "Found 61 images, refused 0, 60 distinct, kept 60" in text
    assert "dropped 1 from train" in text
    assert "happy" in text


def test_import_as_json(csv, tmp_path):
    words = ("--name", "mine", "--license", "CC0", "--size", 8, "--keep-duplicates", "--json")
    data = json.loads(fer_ray("import", csv, "--out", tmp_path / "faces", *words))
    assert (data["name"], data["card"]["license"], data["image_shape"]) == ("mine", "CC0", [8, 8, 1])
    assert data["report"]["kept"] == 61


def test_import_with_every_choice_about_labels_and_splits(csv, tmp_path):
    words = (
        "--label-map",
        "neutral=calm",
        "--classes",
        "happy,sad,neutral,fear",
        "--split",
        "60/20/20",
        "--seed",
        2,
    )
    data = json.loads(
        fer_ray("import", csv, "--out", tmp_path / "faces", "--format", "csv", *words, "--json")
    )
    assert data["classes"] == ["fear", "happy", "sad", "neutral"]
    report = data["report"]
    assert report["splits"].startswith("made anew, as asked: by class, 60/20/20%, seed 2")
    assert sum(report["left_out"].values()) + report["kept"] == 61
    text = fer_ray("describe", tmp_path / "faces")
    assert "of classes not asked for: " in text


def test_import_with_people_from_the_paths(csv, tmp_path):
    words = ("--group-from", r":\d*(\d)$", "--split", "60/20/20", "--json")
    data = json.loads(fer_ray("import", csv, "--out", tmp_path / "faces", *words))
    assert data["report"]["subjects"] == {"distinct": 10, "images": 61, "in_several_splits": 0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "80/20"), "--split"),
        (("--classes", ","), "--classes"),
        (("--label-map", "3"), "--label-map"),
        (("--group-from", "("), "--group-from"),
        (("--format", "tar"), "--format"),
        (("--votes", "none.csv"), "no such file"),
    ],
)
def test_a_wrong_choice_is_an_error_and_leaves_nothing(csv, tmp_path, words, message):
    with pytest.raises(FerRayError, match=message):
        fer_ray("import", csv, "--out", tmp_path / "faces", *words)
    assert [p.name for p in tmp_path.iterdir()] == [csv.name]


def test_synth_and_describe(tmp_path):
    fer_ray("synth", "--out", tmp_path / "drawn", "--images", 50, "--size", 16, "--seed", 3)
    data = json.loads(fer_ray("describe", tmp_path / "drawn", "--json"))
    assert data["classes"] == list(EMOTIONS)
    assert sum(sum(split.values()) for split in data["counts"].values()) == 50
    assert data["report"]["source"]["seed"] == 3
    assert data["fingerprint"] in fer_ray("describe", tmp_path / "drawn")


def test_overwriting_needs_a_word(tmp_path):
    words = ("synth", "--out", tmp_path / "drawn", "--images", 50, "--size", 16)
    fer_ray(*words)
    command = [sys.executable, "-c", MAIN, "data", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    message = f"Error: {tmp_path / 'drawn'}: the output folder must not exist. Add --overwrite to replace it."
    assert result.stderr.strip() == message
    fer_ray(*words, "--overwrite")


@pytest.mark.parametrize("words", [["--images", 0], ["--size", 8], ["--seed", -1]])
def test_impossible_numbers_are_usage_errors(tmp_path, words):
    fer_ray("synth", "--out", tmp_path / "drawn", *words, code=2)
