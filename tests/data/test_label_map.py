import json

import pytest
import source_shapes as shapes

from fer_ray.data.importer import import_dataset
from fer_ray.data.label_map import CODES, LabelMap, parse_label_map
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.errors import ConfigError, DataError

FACES = shapes.Faces()
RAF_DB = ",".join(f"{number}={name}" for number, name in enumerate(shapes.RAF_DB, 1))


def test_labels_are_named_as_said_else_as_spelled_else_as_they_are():
    labels = LabelMap({"0": "joyful", "Bored": "neutral", "joy": "sad"})
    assert [
        labels.name(text) for text in ("0", "00", " bored ", "JOY", "happiness", "anger", "Thinking")
    ] == [
        "happy",
        "happy",
        "neutral",
        "sad",
        "happy",
        "angry",
        "Thinking",
    ]


def test_an_emotions_own_name_meets_its_spellings():
    assert LabelMap({"happy": "sad"}).name("Happiness") == "sad"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("map.yaml", "1: surprise\n2: fear\n3: disgust\n4: happy\n5: sad\n6: anger\n7: neutral\n"),
        ("map.yml", "\n".join(f"{number}: {name}" for number, name in enumerate(shapes.RAF_DB, 1))),
        ("map.json", json.dumps({str(number): name for number, name in enumerate(shapes.RAF_DB, 1)})),
    ],
)
def test_text_files_and_codes_mean_the_same(tmp_path, file, content):
    (tmp_path / file).write_text(content)
    maps = [parse_label_map(text) for text in (RAF_DB, str(tmp_path / file), "raf-db")]
    for number, name in enumerate(shapes.RAF_DB, 1):
        assert {labels.name(str(number)) for labels in maps} == {name}


def test_a_list_in_a_file_counts_from_zero(tmp_path):
    (tmp_path / "map.yaml").write_text("[anger, disgust, fear]")
    assert parse_label_map(str(tmp_path / "map.yaml")).name("2") == "fear"


def test_the_known_codes():
    assert [CODES["affectnet"][str(n)] for n in range(8)] == [*shapes.AFFECTNET, "contempt"]
    assert [CODES["raf-db"][str(n)] for n in range(1, 8)] == list(shapes.RAF_DB)
    assert [CODES["fer2013"][str(n)] for n in range(7)] == list(EMOTIONS)
    assert [CODES["ck-plus"][str(n)] for n in range(8)] == list(shapes.CK_PLUS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("happy", "must name a class for each label"),
        ("", "must name a class for each label"),
        ("0=happy,1", "must name a class for each label"),
        ("0=", "a class must have a name"),
        ("0=3", "a class must have a name"),
        ("0=happy,0=sad", "each label once"),
        ("none.yaml", "YAML or JSON file"),
        ("broken.json", "YAML or JSON file"),
        ("text.yaml", "must map labels"),
        ("no.yaml", "a class must have a name"),
    ],
)
def test_what_is_no_label_map(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "text.yaml").write_text("hello")
    (tmp_path / "no.yaml").write_text("3: no")
    with pytest.raises(ConfigError, match=message):
        parse_label_map(text)


@pytest.mark.parametrize("make", [shapes.numbered_folders, shapes.bare_parquet])
def test_numbers_are_never_guessed(make, tmp_path):
    source = make(tmp_path, FACES)
    with pytest.raises(DataError, match=r"numbers as labels need names.*Received: 1.*--label-map"):
        import_dataset(source, tmp_path / "out")
    with pytest.raises(DataError, match=r"numbers as labels need names.*Received: 7"):
        import_dataset(source, tmp_path / "out", label_map=RAF_DB.rpartition(",")[0])


@pytest.mark.parametrize("make", [shapes.numbered_folders, shapes.fer2013_csv, shapes.hugging_face])
def test_a_label_that_is_nowhere_is_one_error(make, tmp_path):
    with pytest.raises(DataError, match="none called joi"):
        import_dataset(
            make(tmp_path, FACES),
            tmp_path / "out",
            label_map=RAF_DB + ",joi=happy" if make is shapes.numbered_folders else "joi=happy",
        )


def test_a_csv_files_numbers_can_mean_something_else(tmp_path):
    source = shapes.fer2013_csv(tmp_path, FACES)
    data = import_dataset(source, tmp_path / "out", label_map="affectnet")
    assert data.counts["test"] == dict.fromkeys(data.classes, 1)
    images, labels = data.load("test")
    said = {image.tobytes(): shapes.AFFECTNET[EMOTIONS.index(label)] for _, image, label, _ in FACES}
    assert [data.classes[label] for label in labels] == [said[image.tobytes()] for image in images]


def _csv_of(tmp_path, labels):
    rows = [f"{label},{shapes._pixels(image)}" for label, image in zip(labels, FACES.images, strict=True)]
    return shapes.write(tmp_path / "faces.csv", "\n".join(["emotion,pixels", *rows]) + "\n")


def _parquet_of(tmp_path, labels):
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [shapes.png(image) for image in FACES.images]
    pq.write_table(pa.table({"image": images, "label": list(labels)}), tmp_path / "faces.parquet")
    return tmp_path / "faces.parquet"


def _numbers(make, tmp_path, as_text):
    """A source whose labels are RAF-DB's numbers, but for the first."""
    numbers = ["-1", *(as_text(shapes.RAF_DB.index(label) + 1) for label in FACES.labels[1:])]
    return make(tmp_path, numbers)


@pytest.mark.parametrize("as_text", [str, "{}.0".format, "0{}".format], ids=["1", "1.0", "01"])
@pytest.mark.parametrize("make", [_csv_of, _parquet_of], ids=["CSV", "Parquet"])
def test_a_number_is_its_value_and_a_negative_one_is_no_label(make, as_text, tmp_path):
    data = import_dataset(_numbers(make, tmp_path, as_text), tmp_path / "out", label_map="raf-db")
    assert data.classes == EMOTIONS
    assert data.report["refused"] == {"unknown label": 1} and data.report["kept"] == 69
    assert sum(data.counts[split]["surprise"] for split in data.counts) == 10


def test_a_negative_integer_of_an_undescribed_parquet_file_is_no_label(tmp_path):
    source = _parquet_of(tmp_path, [-1, *(shapes.RAF_DB.index(label) + 1 for label in FACES.labels[1:])])
    data = import_dataset(source, tmp_path / "out", label_map="raf-db")
    assert data.report["refused"] == {"unknown label": 1}
    assert sum(data.counts[split]["surprise"] for split in data.counts) == 10


def test_affectnets_codes_without_an_emotion_are_refused_in_folders_and_tables(tmp_path):
    numbers = [shapes.AFFECTNET.index(label) for label in FACES.labels]
    numbers[:4] = 8, 9, 10, 8
    for number, (image, code) in enumerate(zip(FACES.images, numbers, strict=True)):
        shapes.save(tmp_path / "folders" / str(code) / f"{number}.png", image)
    sources = tmp_path / "folders", _csv_of(tmp_path, numbers), _parquet_of(tmp_path, numbers)
    for number, source in enumerate(sources):
        data = import_dataset(source, tmp_path / f"out{number}", label_map="affectnet")
        assert data.classes == EMOTIONS
        assert data.report["refused"] == {"no emotion": 4}


def test_a_negative_number_can_be_named():
    labels = LabelMap({"-1": "contempt"})
    assert (labels.name("-1.0"), labels.refusal("-1"), labels.said("1")) == ("contempt", None, None)
    assert labels.refusal("-2") == ("unknown label", "'-2'")


def test_other_numbers_in_a_csv_file_cost_their_row_only(tmp_path):
    numbers = [f"{EMOTIONS.index(label)}.0" for label in FACES.labels]
    source = _csv_of(tmp_path, ["-1", "2.5", "nan", "-1.0", "7", *numbers[5:]])
    data = import_dataset(source, tmp_path / "out")
    assert data.classes == EMOTIONS
    assert data.report["refused"] == {"unknown label": 5} and data.report["kept"] == 65


def test_fractions_as_labels_of_a_parquet_file_are_never_guessed(tmp_path):
    with pytest.raises(DataError, match=r"numbers as labels need names.*Received: 2\.5"):
        import_dataset(_parquet_of(tmp_path, ["2.5", *FACES.labels[1:]]), tmp_path / "out")


def test_a_map_of_numbers_leaves_no_number_to_fer2013s_code(tmp_path):
    source = shapes.fer2013_csv(tmp_path, FACES)
    with pytest.raises(DataError, match=r"fer2013\.csv:\d+: numbers as labels need names"):
        import_dataset(source, tmp_path / "out", label_map="0=neutral,1=happy")
    data = import_dataset(source, tmp_path / "named", label_map="disgust=angry")
    assert data.classes == tuple(name for name in EMOTIONS if name != "disgust")


def test_a_map_is_the_word_that_makes_two_folders_one(tmp_path):
    source = shapes.flat_folders(tmp_path, FACES)
    (source / "fear").rename(source / "joy")
    with pytest.raises(DataError, match=r"happy, joy.*--merge-classes"):
        import_dataset(source, tmp_path / "out")
    data = import_dataset(source, tmp_path / "out", label_map="joy=happy")
    assert sum(data.counts[split]["happy"] for split in data.counts) == 20


def test_two_spellings_in_a_parquet_file_need_a_word_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["joy" if number % 14 == 3 else label for number, _, label, _ in FACES]
    table = pa.table({"image": [shapes.png(image) for _, image, _, _ in FACES], "label": names})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"happy, joy.*--merge-classes"):
        import_dataset(tmp_path / "a.parquet", tmp_path / "out")
    data = import_dataset(tmp_path / "a.parquet", tmp_path / "out", merge_classes=True)
    assert data.classes == EMOTIONS


def test_two_spellings_in_two_parquet_files_of_a_split_need_a_word_too(tmp_path):
    (tmp_path / "parts").mkdir()
    joyful = ["joy" if label == "happy" else label for label in FACES.labels]
    for file, names in (("train-0", FACES.labels), ("train-1", joyful)):
        _parquet_of(tmp_path, names).rename(tmp_path / "parts" / f"{file}.parquet")
    with pytest.raises(DataError, match=r"happy, joy.*--merge-classes"):
        import_dataset(tmp_path / "parts", tmp_path / "out")
    (tmp_path / "parts" / "train-1.parquet").rename(tmp_path / "parts" / "test.parquet")
    _parquet_of(tmp_path, FACES.labels).rename(tmp_path / "parts" / "val.parquet")
    options = WriteOptions(keep_duplicates=True)
    assert import_dataset(tmp_path / "parts", tmp_path / "out", options=options).classes == EMOTIONS


@pytest.mark.parametrize("make", [shapes.fer2013_csv, shapes.class_folders, shapes.hugging_face])
def test_only_the_classes_that_were_asked_for(make, tmp_path):
    options = WriteOptions(classes=("Joy", "sad", "neutral"))
    data = import_dataset(make(tmp_path, FACES), tmp_path / "out", options=options)
    assert data.classes == ("happy", "sad", "neutral")
    assert data.report["left_out"] == dict.fromkeys(("angry", "disgust", "fear", "surprise"), 10)
    assert (data.report["images"], data.report["kept"], data.report["refused"]) == (70, 30, {})


def test_a_class_that_nobody_shows_cannot_be_asked_for(tmp_path):
    options = WriteOptions(classes=("happy", "contempt"))
    with pytest.raises(DataError, match=r"asked for: contempt.*only angry, disgust"):
        import_dataset(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "out", options=options)


def test_one_label_in_two_spellings():
    with pytest.raises(ConfigError, match=r"must name each label once.*00"):
        parse_label_map("00=sad,0=happy")
