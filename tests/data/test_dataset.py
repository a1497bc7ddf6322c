import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_ray.data import open_dataset
from fer_ray.data.importer import import_dataset
from fer_ray.data.labels import EMOTIONS
from fer_ray.data.options import WriteOptions
from fer_ray.errors import DataError


@pytest.fixture
def data(faces, tmp_path):
    return import_dataset(faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out", name="mine")


def edit(data, **fields):
    path = data.path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_is_opened_is_what_was_written(data):
    assert open_dataset(str(data.path)) == data
    assert (data.name, data.classes, data.image_shape) == ("mine", EMOTIONS, (12, 12, 1))
    assert set(data.card) >= {"description", "license", "caveats"}


def test_arrays(data):
    images, labels = data.load("train")
    assert images.dtype == np.uint8 and images.shape == (40, 12, 12, 1) and images.flags.c_contiguous
    assert labels.dtype == np.int64 and labels.shape == (40,)
    counted = {name: int((labels == i).sum()) for i, name in enumerate(data.classes)}
    assert counted == data.counts["train"]


def test_loading_tells_its_progress(data):
    told = []
    data.load("test", progress=lambda *step: told.append(step))
    assert told[-1] == ("loading test (images)", 20, 20)


def test_the_files_follow_hugging_faces_convention(data):
    schema = pq.read_schema(data.path / "train.parquet")
    assert schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"_type": "ClassLabel", "names": list(EMOTIONS)}


def test_an_unknown_split(data):
    with pytest.raises(DataError, match="'dev'"):
        data.load("dev")


def test_a_folder_without_a_description(tmp_path):
    with pytest.raises(DataError, match=r"must hold a dataset.json"):
        open_dataset(tmp_path)


def test_a_newer_format(data):
    edit(data, format_version=2)
    with pytest.raises(DataError, match=r"at most 1.*Received: 2"):
        open_dataset(data.path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": "x"}'])
def test_a_broken_description(data, text):
    (data.path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        open_dataset(data.path)


def test_a_missing_split_file(data):
    (data.path / "validation.parquet").unlink()
    with pytest.raises(DataError, match=r"validation\.parquet.*must have its file"):
        open_dataset(data.path)


def test_a_truncated_split_file(data):
    path = data.path / "test.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"test\.parquet.*whole split file"):
        open_dataset(data.path)


def test_a_split_of_another_data_set(data):
    (data.path / "test.parquet").write_bytes((data.path / "train.parquet").read_bytes())
    with pytest.raises(DataError, match=r"40 images where dataset.json counts 20"):
        open_dataset(data.path)


def test_a_broken_image(data):
    path = data.path / "test.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[3]["image"]["bytes"] = b"broken"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    with pytest.raises(DataError, match=r"test\.parquet.*whole split file"):
        open_dataset(data.path).load("test")


def test_an_existing_folder_is_not_replaced_without_a_word(data, faces, tmp_path):
    before = (data.path / "dataset.json").read_bytes()
    with pytest.raises(DataError, match="--overwrite"):
        import_dataset(tmp_path / "fer2013.csv", data.path)
    assert (data.path / "dataset.json").read_bytes() == before
    again = import_dataset(
        tmp_path / "fer2013.csv", data.path, name="again", options=WriteOptions(overwrite=True)
    )
    assert again.name == "again" and again.fingerprint == data.fingerprint


def test_overwriting_spares_what_is_no_data_set(faces, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("irreplaceable")
    source = faces.write_csv(tmp_path / "fer2013.csv")
    with pytest.raises(DataError, match="only a data set"):
        import_dataset(source, tmp_path / "thesis", options=WriteOptions(overwrite=True))
    assert (tmp_path / "thesis" / "chapter.txt").exists()


def test_a_failed_import_leaves_the_old_data_set_and_nothing_else(data, tmp_path):
    (tmp_path / "bad.csv").write_text("emotion,pixels,Usage\n9,1 2 3 4,Training\n")
    names = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(DataError, match="1 unknown label"):
        import_dataset(tmp_path / "bad.csv", data.path, options=WriteOptions(overwrite=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert open_dataset(data.path) == data


def test_what_is_put_there_during_an_import_stays(faces, tmp_path):
    source, out = faces.write_csv(tmp_path / "fer2013.csv"), tmp_path / "out"

    def meanwhile(*step):
        out.mkdir(exist_ok=True)
        (out / "notes.txt").write_text("mine")

    with pytest.raises(DataError, match="must not exist"):
        import_dataset(source, out, progress=meanwhile)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_link_to_a_data_set_stays_a_link(data, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(data.path)
    chosen = WriteOptions(overwrite=True, classes=("happy", "sad"))
    import_dataset(tmp_path / "fer2013.csv", link, options=chosen)
    assert link.is_symlink() and open_dataset(data.path).classes == ("happy", "sad")


def test_nothing_to_train_on_but_copies(faces, tmp_path):
    for split in ("train", "validation", "test"):
        faces.write_folders(
            tmp_path / "faces" / split, lambda faces, number: f"{faces.labels[number]}/{number}.png"
        )
    with pytest.raises(DataError, match=r"no copies of evaluation images.*80 images, all of them copies"):
        import_dataset(tmp_path / "faces", tmp_path / "none")


def test_images_of_classes_left_out_count_in_no_check(faces, tmp_path):
    source = faces.write_csv(tmp_path / "fer2013.csv")
    some = import_dataset(source, tmp_path / "some", size=16, options=WriteOptions(classes=("happy", "sad")))
    assert some.report["checks"]["another size, resized"] == some.report["accepted"] < 80
