"""A data set in words."""

import pytest

from fer_ray.data import describe
from fer_ray.data.importer import import_dataset
from fer_ray.data.writer import WriteOptions


@pytest.fixture
def counted(faces, tmp_path):
    """The data set with other counts, as {class: (train, validation, test)}."""
    data = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out")

    def make(**table):
        counts = {
            s: {c: row[n] for c, row in table.items()} for n, s in enumerate(("train", "validation", "test"))
        }
        return type(data)(**{**vars(data), "classes": tuple(table), "counts": counts})

    return make


@pytest.mark.parametrize(
    ("rare", "words"),
    [
        (100, "nearly even: happy has 1.5 times the training images of sad (150 to 100)"),
        (50, "mildly unbalanced: happy has 3.0 times the training images of sad (150 to 50)"),
        (20, "unbalanced: happy has 7.5 times the training images of sad (150 to 20)"),
        (1, "very unbalanced: happy has 150.0 times the training images of sad (150 to 1)"),
        (0, "very unbalanced: sad has no training image"),
    ],
)
def test_balance(counted, rare, words):
    data = counted(happy=(150, 10, 10), sad=(rare, 10, 10))
    assert describe.balance_words(data) == f"the classes are {words}"


def test_guessing_the_largest_class(counted):
    data = counted(happy=(150, 10, 30), sad=(100, 30, 10))
    assert (
        describe.guess_words(data)
        == "always answering happy is right for 25.0% of validation and 75.0% of test"
    )
    assert describe.guess_words(counted(happy=(2, 0, 0), sad=(1, 0, 0))) == ""


def test_shares_that_differ_between_splits(counted):
    words = describe.shares_words(counted(happy=(150, 12, 30), sad=(150, 8, 10)))
    assert words.endswith("at most 25.0 percentage points between splits (happy, train and test)")
    assert describe.shares_words(counted(happy=(2, 0, 0), sad=(1, 0, 0))) == ""


@pytest.mark.parametrize("keep", [True, False])
def test_copies(faces, tmp_path, keep):
    more = [faces.rows()[0], faces.rows()[1].replace("Training", "PrivateTest")]
    data = import_dataset(
        faces.write_csv(tmp_path / "fer2013.csv", more=more),
        tmp_path / "out",
        options=WriteOptions(keep_duplicates=keep),
    )
    words = describe.copies_words(data)
    assert words.startswith("2 of 82 images are copies of another")
    if keep:
        assert "were kept, as asked" in words
    else:
        assert words.endswith("1 were dropped because a later split has them, 1 are left within their split")


def test_the_summary_has_sizes_and_balance(faces, tmp_path):
    data = import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out")
    lines = list(describe.summary_lines(data))
    size = sum((data.path / f"{split}.parquet").stat().st_size for split in data.counts)
    assert f"Size: {size / 1e6:.1f} MB on disk, 0.0 MB decoded" in lines
    assert any(line.startswith("The classes are ") for line in lines)
