import pytest

from fer_ray.data import labels
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


SPELLINGS = {
    "angry": "anger angered mad AN",
    "disgust": "disgusted disgusting DI",
    "fear": "fearful afraid scared FE AF",
    "happy": "happiness joy joyful smile HA",
    "sad": "sadness unhappy SA",
    "surprise": "surprised suprise suprised surprize SU",
    "neutral": "neutrality normal calm NE neu",
    "contempt": "contemptuous CO",
}


@pytest.mark.parametrize(
    ("name", "spelling"), [(n, s) for n, words in SPELLINGS.items() for s in words.split()]
)
def test_every_spelling_of_an_emotion(name, spelling):
    assert class_name(spelling) == class_name(f"3_{spelling.upper()}") == class_name(name) == name


def test_no_other_spelling_is_known():
    known = {spelling for name, words in SPELLINGS.items() for spelling in (name, *words.lower().split())}
    assert set(labels._EMOTION_OF) == known


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
