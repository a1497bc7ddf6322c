import pyarrow.parquet as pq
import pytest

from fer_ray.data import csv_source, parquet_files
from fer_ray.data.importer import import_dataset
from fer_ray.data.options import WriteOptions, parse_split
from fer_ray.data.writer import COPY
from fer_ray.errors import ConfigError, DataError


@pytest.fixture
def source(faces, tmp_path):
    """Eighty distinct images, and copies: two in training, one in validation, one with another label."""
    rows = faces.rows()
    train, validation, test = (faces.usages.index(u) for u in ("Training", "PublicTest", "PrivateTest"))

    def copy(row, usage, label=None):
        emotion, pixels, _ = rows[row].split(",")
        return f"{emotion if label is None else label},{pixels},{usage}"

    other = (int(rows[test].split(",")[0]) + 1) % 7
    more = [
        copy(test, "Training", other),
        copy(validation, "Training"),
        copy(test, "PublicTest"),
        copy(train, "Training"),
    ]
    return faces.write_csv(tmp_path / "fer.csv", more=more)


def test_copies_of_evaluation_images_are_dropped_and_kept_aside(source, tmp_path):
    data = import_dataset(source, tmp_path / "out")
    report = data.report["duplicates"]
    assert data.report["distinct"] == 80 and data.report["accepted"] == 84 and data.report["kept"] == 81
    assert report["dropped"] == {"train": 2, "validation": 1, "test": 0}
    assert report["across"] == {"train+validation": 2, "train+test": 1, "validation+test": 1}
    assert (report["redundant"], report["groups"]) == (4, 3)
    rows = pq.read_table(data.path / "rejected.parquet").to_pylist()
    assert [(row["path"], row["reason"]) for row in rows] == [(f"fer.csv:{n}", COPY) for n in (82, 83, 84)]


def test_label_conflicts_are_listed_with_every_copy(source, tmp_path):
    (group,) = import_dataset(source, tmp_path / "out").report["duplicates"]["label_conflicts"]
    assert [(copy["split"], copy["kept"]) for copy in group] == [
        ("test", True),
        ("train", False),
        ("validation", False),
    ]
    assert group[0]["class"] == group[2]["class"] != group[1]["class"]


def test_copies_stay_on_request(source, tmp_path):
    data = import_dataset(source, tmp_path / "out", options=WriteOptions(keep_duplicates=True))
    assert data.report["kept"] == 84
    assert data.report["duplicates"]["copies_kept"]
    assert pq.read_table(data.path / "rejected.parquet").num_rows == 0


def test_the_fingerprint_is_of_the_images_not_of_their_order(faces, tmp_path):
    straight = import_dataset(faces.write_csv(tmp_path / "a.csv"), tmp_path / "a")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert import_dataset(tmp_path / "b.csv", tmp_path / "b").fingerprint == straight.fingerprint


@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_fingerprint_changes_with_label_pixel_and_split(faces, tmp_path, column):
    straight = import_dataset(faces.write_csv(tmp_path / "a.csv"), tmp_path / "a")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    cells = lines[1].split(",")
    first = "9" if cells[1][0] != "9" else "8"
    changed = [str((int(cells[0]) + 1) % 7), first + " " + cells[1].split(" ", 1)[1], "PublicTest"]
    cells[column] = changed[column]
    (tmp_path / "b.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    assert import_dataset(tmp_path / "b.csv", tmp_path / "b").fingerprint != straight.fingerprint


def test_large_images_lie_in_small_row_groups(source, tmp_path, monkeypatch):
    plain = import_dataset(source, tmp_path / "plain")
    monkeypatch.setattr(parquet_files, "_GROUP_BYTES", 1)
    monkeypatch.setattr(csv_source, "_BLOCK_BYTES", 3000)
    data = import_dataset(source, tmp_path / "out")
    assert pq.ParquetFile(data.path / "train.parquet").num_row_groups > 3
    assert data.fingerprint == plain.fingerprint
    assert (data.load("train")[0] == plain.load("train")[0]).all()


def test_progress_counts_up_to_its_total(source, tmp_path):
    told = []
    import_dataset(source, tmp_path / "out", progress=lambda *step: told.append(step))
    assert ("reading (MB)", 1, 1) in told
    assert told[-1] == ("writing (images)", 84, 84)
    assert all(done <= total for _, done, total in told)


def test_one_class_is_no_data_set(faces, tmp_path):
    lines = ["emotion,pixels,Usage", *(r for r in faces.rows() if r.startswith("3"))]
    (tmp_path / "happy.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="at least two classes"):
        import_dataset(tmp_path / "happy.csv", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": (80, 10, 11)}, "--split.*sum to 100.*80/10/11"),
        ({"split": (90, 10, 0)}, "--split"),
        ({"split": (120, -10, -10)}, "--split"),
        ({"classes": ("happy", "joy")}, "--classes.*two different"),
        ({"classes": ("happy",)}, "--classes"),
        ({"group_from": "S[0-9]+"}, "--group-from.*must have a group"),
        ({"group_from": "(S"}, "--group-from.*regular expression"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ConfigError, match=message):
        WriteOptions(**options)


@pytest.mark.parametrize("text", ["", "80", "80/10", "80/10/10/0", "a/b/c", "0.8/0.1/0.1", "80/20/-0"])
def test_impossible_splits(text):
    with pytest.raises(ConfigError, match="three whole percentages"):
        parse_split(text)
    assert parse_split(" 70/15 /15") == (70, 15, 15)


def test_texts_for_model_cards_can_be_replaced(faces, tmp_path):
    source = faces.write_csv(tmp_path / "a.csv")
    usual = import_dataset(source, tmp_path / "a").card
    own = import_dataset(source, tmp_path / "b", card={"license": "Mine."}).card
    assert usual["license"] != "Mine."
    assert own == {**usual, "license": "Mine."}
