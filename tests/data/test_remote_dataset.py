"""Data sets in an object store."""

import json

import numpy as np
import pytest

from fer_ray.data import open_dataset
from fer_ray.data.describe import size_rows, summary_lines, to_dict
from fer_ray.data.importer import import_dataset
from fer_ray.data.options import WriteOptions
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import DataError
from fer_ray.file_store import FileStore


@pytest.fixture
def source(faces, tmp_path):
    return faces.write_csv(tmp_path / "fer2013.csv")


@pytest.fixture
def plain(source, tmp_path):
    return import_dataset(source, tmp_path / "plain")


def test_what_is_there_is_what_would_be_here(source, plain, bucket):
    told = []
    address = bucket("sets/plain")
    written = import_dataset(source, address, progress=lambda *step: told.append(step))
    data = open_dataset(address)
    assert data == written and data.fingerprint == plain.fingerprint and data.name == "plain"
    for split in ("train", "validation", "test"):
        for there, here in zip(data.load(split), plain.load(split), strict=True):
            assert np.array_equal(there, here)
    assert ("uploading (files)", 5, 5) in told
    assert size_rows(data)[:-1] == size_rows(plain)[:-1]
    assert next(summary_lines(data)) == next(summary_lines(plain))
    assert json.loads(json.dumps(to_dict(data)))["path"] == address.partition("?")[0]


def test_drawn_faces(bucket, tmp_path):
    there = write_synthetic(bucket("drawn"), images=50, size=16)
    assert there.fingerprint == write_synthetic(tmp_path / "drawn", images=50, size=16).fingerprint


def test_only_a_data_set_is_replaced_and_only_with_a_word(source, bucket, plain):
    address = bucket("plain")
    import_dataset(source, address)
    with pytest.raises(DataError, match="--overwrite"):
        import_dataset(source, address)
    again = import_dataset(source, address, options=WriteOptions(overwrite=True, classes=("happy", "sad")))
    assert open_dataset(address).fingerprint == again.fingerprint != plain.fingerprint
    FileStore.open(bucket("mine"), "test", DataError).write("diary.txt", b"dear diary")
    with pytest.raises(DataError, match="only a data set or an empty folder"):
        import_dataset(source, bucket("mine"), options=WriteOptions(overwrite=True))


def test_an_upload_that_breaks_off_leaves_no_data_set(source, bucket, monkeypatch):
    upload = FileStore.upload
    import_dataset(source, bucket("plain"))

    def breaks(self, file, path):
        if path == "validation.parquet":
            raise OSError("connection reset")
        upload(self, file, path)

    monkeypatch.setattr(FileStore, "upload", breaks)
    with pytest.raises(DataError, match=r"must take the data set.*connection reset"):
        import_dataset(source, bucket("plain"), options=WriteOptions(overwrite=True))
    with pytest.raises(DataError, match=r"must hold a dataset\.json"):
        open_dataset(bucket("plain"))


def test_what_is_not_there(bucket):
    with pytest.raises(DataError, match=r"s3://.*/none: a data set must hold a dataset\.json"):
        open_dataset(bucket("none"))


def test_a_store_that_is_away(credentials):
    address = "s3://bucket/faces?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(DataError, match="s3://bucket/faces: a data set must be readable"):
        open_dataset(address)
