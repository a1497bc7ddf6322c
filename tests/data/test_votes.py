import numpy as np
import pyarrow.parquet as pq
import pytest
import source_shapes as shapes

from fer_ray.data.importer import import_dataset
from fer_ray.data.options import WriteOptions
from fer_ray.data.votes import judge
from fer_ray.errors import DataError

FACES = shapes.Faces()


@pytest.mark.parametrize(
    ("votes", "label", "soft_label"),
    [
        # neutral, happy, surprise, sad, angry, disgust, fear, contempt, unknown, no face
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], "neutral", {"neutral": 1}),
        ([0, 6, 3, 0, 0, 0, 0, 0, 1, 0], "happy", {"happy": 6 / 9, "surprise": 3 / 9}),
        ([1, 1, 1, 1, 1, 0, 0, 5, 0, 0], "contempt", {"contempt": 1}),
        # An outlier's vote counts for nothing: five of nine are a majority.
        ([0, 5, 0, 4, 0, 0, 0, 0, 1, 0], "happy", {"happy": 5 / 9, "sad": 4 / 9}),
        # Votes for unknown count towards the majority, and not in the shares.
        ([0, 6, 0, 2, 0, 0, 0, 0, 2, 0], "happy", {"happy": 0.75, "sad": 0.25}),
    ],
)
def test_a_majority_is_the_label(votes, label, soft_label):
    verdict = judge(list(map(str, votes)))
    assert verdict.label == label and verdict.refusal is None
    assert verdict.soft_label == pytest.approx(soft_label)


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], "no majority of votes"),
        ([4, 3, 3, 0, 0, 0, 0, 0, 0, 0], "no majority of votes"),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "no majority of votes"),
        ([0] * 10, "no majority of votes"),
        ([0, 4, 0, 0, 0, 0, 0, 0, 6, 0], "voted unknown"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], "voted no face"),
        ([0, 10], "broken votes"),
        ([-1, 10, 0, 0, 0, 0, 0, 0, 0, 0], "broken votes"),
        (["x"] * 10, "broken votes"),
    ],
)
def test_what_has_no_majority_for_an_emotion_is_refused(votes, reason):
    verdict = judge(list(map(str, votes)))
    assert verdict.refusal and verdict.refusal[0] == reason
    assert verdict.label is None


@pytest.fixture
def data(tmp_path):
    votes = shapes.fer2013_new_csv(tmp_path, FACES)
    return import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out", votes=votes)


def test_soft_labels_are_the_shares_of_the_votes(data):
    _, labels = data.load("train")
    shares = data.soft_labels("train")
    assert shares.dtype == np.float32 and shares.shape == (len(labels), len(data.classes))
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == labels).all()
    assert np.allclose(np.sort(shares, axis=1)[:, -2:], [2 / 9, 7 / 9])
    assert data.report["soft_labels"] == 65


def test_the_file_has_a_column_that_hugging_face_knows(data):
    schema = pq.read_schema(data.path / "train.parquet")
    assert schema.names == ["image", "label", "soft_label"]
    assert str(schema.field("soft_label").type) == "fixed_size_list<element: float>[7]"


def test_votes_change_labels_and_the_fingerprint(data, tmp_path):
    plain = import_dataset(tmp_path / "fer2013.csv", tmp_path / "plain", options=WriteOptions())
    assert plain.fingerprint != data.fingerprint
    with pytest.raises(DataError, match="must have soft labels"):
        plain.soft_labels("train")
    with pytest.raises(DataError, match="'dev'"):
        data.soft_labels("dev")


def test_soft_labels_survive_a_second_import_bit_for_bit(data, tmp_path):
    again = import_dataset(data.path, tmp_path / "again")
    assert again.fingerprint == data.fingerprint
    assert (again.soft_labels("test") == data.soft_labels("test")).all()


def test_soft_labels_of_fewer_classes_sum_to_one(data, tmp_path):
    options = WriteOptions(classes=("happy", "sad", "neutral"))
    few = import_dataset(data.path, tmp_path / "few", options=options)
    _, labels = few.load("train")
    shares = few.soft_labels("train")
    assert shares.shape == (len(labels), 3)
    assert np.allclose(shares.sum(axis=1), 1) and (shares.argmax(axis=1) == labels).all()
    # A sad face keeps its two votes for neutral, a happy one too; neutral's two go to happy.
    assert np.allclose(shares.max(axis=1), 7 / 9)


def test_classes_made_one_share_their_votes(tmp_path):
    votes = shapes.fer2013_new_csv(tmp_path, FACES)
    source = shapes.fer2013_csv(tmp_path, FACES)
    data = import_dataset(source, tmp_path / "out", votes=votes, label_map="fear=surprise,disgust=angry")
    assert data.classes == ("angry", "happy", "sad", "surprise", "neutral")
    assert np.allclose(data.soft_labels("test").sum(axis=1), 1)


def edited(tmp_path, edit):
    path = shapes.fer2013_new_csv(tmp_path, FACES)
    path.write_text("\n".join(edit(path.read_text().splitlines())))
    return path


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda lines: lines[:-1], "69 for 70"),
        (lambda lines: [*lines, lines[-1]], "71 for 70"),
        (lambda lines: [lines[0], lines[-1], *lines[1:-1]], "Training in the file, test in the votes"),
        (lambda lines: lines[1:], "fer2013new.csv"),
        (lambda lines: [], "fer2013new.csv"),
    ],
)
def test_votes_of_other_rows_are_one_error(tmp_path, edit, message):
    source = shapes.fer2013_csv(tmp_path, FACES)
    with pytest.raises(DataError, match=message):
        import_dataset(source, tmp_path / "out", votes=edited(tmp_path, edit))
    assert not (tmp_path / "out").exists()


def test_votes_in_another_order_are_one_error_though_their_splits_fit(tmp_path):
    def turn(lines):
        train = [line for line in lines[1:] if line.startswith("Training")]
        turned = iter([*train[1:], train[0]])
        return [next(turned) if line.startswith("Training") else line for line in lines]

    source = shapes.icml_csv(tmp_path, FACES)
    with pytest.raises(DataError, match=r"at least 50% of its labels.*Received: 2\d% of 65"):
        import_dataset(source, tmp_path / "out", votes=edited(tmp_path, turn))


def test_votes_go_with_the_challenges_file_too(data, tmp_path):
    votes = shapes.fer2013_new_csv(tmp_path, FACES)
    icml = import_dataset(shapes.icml_csv(tmp_path, FACES), tmp_path / "icml", votes=votes)
    assert icml.fingerprint == data.fingerprint and icml.report["refused"] == data.report["refused"]


def test_votes_belong_to_a_csv_file(tmp_path):
    votes = shapes.fer2013_new_csv(tmp_path, FACES)
    with pytest.raises(DataError, match="belong to one CSV file"):
        import_dataset(shapes.flat_folders(tmp_path, FACES), tmp_path / "out", votes=votes)
    with pytest.raises(DataError, match="no such file"):
        import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out", votes=tmp_path / "none.csv")
