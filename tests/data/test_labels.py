import pytest

from fer_ray.data.labels import EMOTIONS, class_name, class_order, official_split, split_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Happiness", "happy"),
        ("  JOY ", "happy"),
        ("03_happy", "happy"),
        ("Suprised", "surprise"),
        ("anger", "angry"),
        ("normal", "neutral"),
        ("contemptuous", "contempt"),
        ("un happy", "sad"),
        ("Thinking", "Thinking"),
        ("cat-2", "cat-2"),
    ],
)
def test_class_names(text, name):
    assert class_name(text) == name


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Training", "train"),
        ("VALID", "validation"),
        ("dev", "validation"),
        ("PublicTest", "validation"),
        ("PrivateTest", "test"),
        ("testing", "test"),
        ("images", None),
        ("train_set", "train"),
        ("Test_Data", "test"),
        ("val_images", "validation"),
        ("test dataset", "test"),
        ("train_01", "train"),
        ("validation-00000-of-00002", "validation"),
        ("test_images_2", "test"),
        ("dataset", None),
        ("7", None),
    ],
)
def test_split_names(text, split):
    assert split_name(text) == split


def test_file_names_keep_the_official_split():
    assert official_split("PublicTest_00012.jpg") == "validation"
    assert official_split("PrivateTest_1.png") == "test"
    assert official_split("Training.png") is None


def test_class_order_is_that_of_fer2013_then_sorted():
    assert class_order(["zeal", "neutral", "contempt", *reversed(EMOTIONS)]) == (
        *EMOTIONS,
        "contempt",
        "zeal",
    )
