"""ZIP archives that mean harm or are broken, and object stores, on a real server of the S3 protocol."""

import os
import socket
import stat
import subprocess
import tracemalloc
import zipfile

import pyarrow.fs
import pyarrow.parquet as pq
import pytest
import source_shapes as shapes

from fer_ray.data import zip_place
from fer_ray.data.importer import import_dataset
from fer_ray.data.places import RemoteFolder, is_hidden
from fer_ray.errors import DataError
from fer_ray.filesystems import has_credentials

FACES = shapes.Faces()


@pytest.fixture
def archive(tmp_path):
    return shapes.zip_of(shapes.class_folders(tmp_path, FACES), tmp_path / "faces.zip")


def rejected(data):
    return {row["path"]: row["reason"] for row in pq.read_table(data.path / "rejected.parquet").to_pylist()}


def test_paths_that_lead_out_are_refused_and_counted(archive, tmp_path):
    image = shapes.png(FACES.images[0])
    paths = ["../out.png", "images/../../test/joy/out.png", "/etc/out.png", "C:/out.png", "..\\out.png"]
    with zipfile.ZipFile(archive, "a") as file:
        for path in paths:
            file.writestr(path, image)
    before = {path for path in tmp_path.rglob("*")}
    data = import_dataset(archive, tmp_path / "data")
    assert data.report["refused"] == {"unsafe path": 5}
    assert rejected(data) == dict.fromkeys([p.replace("\\", "/") for p in paths], "unsafe path")
    assert data.report["images"] == 75 and data.report["kept"] == 70
    assert {p for p in tmp_path.rglob("*") if "data" not in p.parts} == before
    assert not list(tmp_path.parent.glob("out.png"))


def test_the_same_path_twice_is_counted(archive, tmp_path):
    with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("images/test/joy/66.png", b"other")
    assert import_dataset(archive, tmp_path / "data").report["refused"] == {"unsafe path": 1}


def test_a_link_is_not_followed(archive, tmp_path):
    secret = shapes.save(tmp_path / "secret.png", FACES.images[0])
    info = zipfile.ZipInfo("images/test/joy/link.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(info, str(secret))
    assert rejected(import_dataset(archive, tmp_path / "data")) == {info.filename: "unreadable"}


def test_folders_parted_by_backslashes(archive, tmp_path):
    windows = tmp_path / "windows.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(windows, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename.replace("/", "\\"), old.read(info))
    plain = import_dataset(archive, tmp_path / "plain")
    assert import_dataset(windows, tmp_path / "data").fingerprint == plain.fingerprint


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("happy/a.png", "sad/b.png"):
            file.writestr(name, bytes(40 << 20))
    assert path.stat().st_size < 200_000
    with pytest.raises(DataError, match=r"at most 100 times its size, or 64 MiB.*83,886,080 bytes"):
        import_dataset(path, tmp_path / "data")


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(archive, tmp_path):
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images/test/joy/bomb.png", bytes(200 << 20))
    content = bytearray(archive.read_bytes())
    # In the archive's list, the size lies 24 bytes from the start of the last entry.
    at = content.rfind(b"PK\x01\x02") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    archive.write_bytes(content)
    tracemalloc.start()
    data = import_dataset(archive, tmp_path / "data")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rejected(data) == {"images/test/joy/bomb.png": "unreadable"}
    assert most < 100 << 20


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_unpack_all_at_once_are_refused(compression, archive, tmp_path):
    with zipfile.ZipFile(archive, "a", compression) as file:
        file.writestr("images/test/joy/other.png", shapes.png(FACES.images[0]))
    assert rejected(import_dataset(archive, tmp_path / "data")) == {"images/test/joy/other.png": "unreadable"}


def test_what_packs_well_is_no_bomb(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(zip_place, "ALWAYS_BYTES", 0)
    assert import_dataset(archive, tmp_path / "data").report["kept"] == 70


def test_an_image_larger_than_any_is_refused(archive, tmp_path):
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as file:
        file.writestr("images/test/joy/large.png", os.urandom(1 << 20) * 65)
    data = import_dataset(archive, tmp_path / "data")
    (row,) = pq.read_table(data.path / "rejected.parquet").to_pylist()
    assert row["reason"] == "unreadable" and "68,157,440 bytes" in row["detail"] and row["content"] == b""


def test_an_archive_with_a_password_is_one_error(archive, tmp_path):
    # The flag alone: the module cannot write such archives, and no other byte is looked at.
    content = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + at] |= 1
            start = content.find(mark, start + 4)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="without a password"):
        import_dataset(archive, tmp_path / "data")


def test_a_broken_member_is_refused_and_the_rest_arrives(archive, tmp_path):
    with zipfile.ZipFile(archive) as file:
        victim = next(i for i in file.infolist() if i.filename.endswith("/20.png"))
    content = bytearray(archive.read_bytes())
    middle = victim.header_offset + 30 + len(victim.filename) + victim.compress_size // 2
    content[middle : middle + 8] = bytes(8)
    archive.write_bytes(content)
    data = import_dataset(archive, tmp_path / "data")
    assert rejected(data) == {victim.filename: "unreadable"}
    assert data.report["kept"] == 69


def test_an_archive_cut_short_is_one_error(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="whole ZIP archive"):
        import_dataset(archive, tmp_path / "data")


def test_a_broken_csv_file_in_an_archive_is_one_error(tmp_path):
    archive = shapes.zip_of(shapes.fer2013_csv(tmp_path, FACES), tmp_path / "fer.zip")
    content = bytearray(archive.read_bytes())
    content[5000:5008] = bytes(8)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"readable.*broken in the archive"):
        import_dataset(archive, tmp_path / "data")


def test_an_archive_without_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="1 files, none of them an image"):
        import_dataset(tmp_path / "a.zip", tmp_path / "data")


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("a/b.png", False), (".git/x.png", True), ("a/.DS_Store", True), ("__MACOSX/a/._b.png", True)],
)
def test_hidden_files(path, hidden):
    assert is_hidden(path) == hidden


# Folders


def test_a_link_to_a_folder_is_counted(tmp_path):
    faces = shapes.class_folders(tmp_path, FACES)
    (faces / "images" / "test" / "linked").symlink_to(faces / "images" / "test" / "joy")
    data = import_dataset(faces, tmp_path / "data")
    assert rejected(data) == {"images/test/linked": "link to a folder"}
    assert data.report["kept"] == 70


def test_a_folder_that_cannot_be_listed_is_one_error(tmp_path, monkeypatch):
    faces, scandir = shapes.class_folders(tmp_path, FACES), os.scandir

    def closed(path):
        if str(path).endswith("joy"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"joy: every folder of a source must be readable"):
        import_dataset(faces, tmp_path / "data")


# Object stores


def test_class_folders_in_an_object_store(upload, tmp_path):
    source = shapes.class_folders(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    data = import_dataset(upload(source), tmp_path / "data")
    assert data.fingerprint == plain.fingerprint
    assert data.report["source"]["name"] == "faces"


ANNOTATED = (
    "fer_plus_folders",
    "raf_db",
    "affectnet_arrays",
    "affectnet_tables",
    "ck_plus",
    "jaffe",
    "kdef",
    "expw",
)


@pytest.mark.parametrize("make", ANNOTATED)
def test_annotations_in_an_object_store(make, upload, tmp_path):
    source = getattr(shapes, make)(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    data = import_dataset(upload(source), tmp_path / "data")
    assert data.fingerprint == plain.fingerprint
    assert data.report["refused"] == plain.report["refused"]
    assert data.report["source"] == plain.report["source"]


@pytest.mark.parametrize("make", [shapes.fer2013_csv, shapes.bare_parquet, shapes.hugging_face])
def test_files_in_an_object_store(make, upload, tmp_path):
    source = make(tmp_path, FACES)
    options = {"label_map": "raf-db"} if make is shapes.bare_parquet else {}
    plain = import_dataset(source, tmp_path / "plain", **options)
    assert import_dataset(upload(source), tmp_path / "data", **options).fingerprint == plain.fingerprint


def test_an_archive_in_an_object_store(upload, archive, tmp_path):
    plain = import_dataset(archive, tmp_path / "plain")
    assert import_dataset(upload(archive), tmp_path / "data").fingerprint == plain.fingerprint


def test_votes_in_an_object_store(upload, tmp_path):
    source, votes = shapes.fer2013_csv(tmp_path, FACES), shapes.fer2013_new_csv(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain", votes=votes)
    assert import_dataset(source, tmp_path / "data", votes=upload(votes)).fingerprint == plain.fingerprint


def test_what_is_not_in_the_store_is_one_error(upload, tmp_path):
    address = upload(shapes.fer2013_csv(tmp_path, FACES)).replace("fer2013.csv", "none.csv")
    with pytest.raises(DataError, match="no such file"):
        import_dataset(address, tmp_path / "data")


def test_a_store_that_is_away_is_one_error_and_tells_no_secret(credentials, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="storage must be reachable") as caught:
        import_dataset(f"s3://bucket/faces?endpoint_override=127.0.0.1:{port}&scheme=http", tmp_path / "data")
    assert "secret" not in str(caught.value) and "endpoint" not in str(caught.value).partition("Received")[0]
    assert not (tmp_path / "data").exists()


def test_a_store_that_goes_away_ends_the_import(upload, tmp_path, monkeypatch):
    """The images that can no longer be fetched are not refused one by one, as if they were broken."""
    address = upload(shapes.class_folders(tmp_path, FACES))
    read, calls = RemoteFolder.read, []
    once = pyarrow.fs.AwsDefaultS3RetryStrategy(max_attempts=1)
    gone = pyarrow.fs.S3FileSystem(
        endpoint_override="127.0.0.1:9", scheme="http", region="us-east-1", retry_strategy=once
    )

    def read_until_it_goes(self, path, limit=-1):
        calls.append(path)
        if len(calls) > 100:
            self._filesystem = gone
        return read(self, path, limit)

    monkeypatch.setattr(RemoteFolder, "read", read_until_it_goes)
    with pytest.raises(DataError, match="storage must be reachable"):
        import_dataset(address, tmp_path / "data")
    assert len(calls) > 100 and not (tmp_path / "data").exists()


def test_credentials_in_an_address_are_refused_and_not_repeated(tmp_path):
    with pytest.raises(DataError, match="must hold no credentials") as caught:
        import_dataset("s3://reader:very-secret@bucket/faces", tmp_path / "data")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://reader@bucket/faces", True),
        ("gs://reader:secret@bucket/faces", True),
        ("abfss://faces@account.dfs.core.windows.net/fer", False),
        ("hdfs://reader@host/faces", False),
        ("s3://bucket/faces@2", False),
    ],
)
def test_what_is_a_key_in_an_address(uri, expected):
    assert has_credentials(uri) is expected


def test_an_unknown_kind_of_address(tmp_path):
    with pytest.raises(DataError, match="source gopher://host/faces: must be a path or a URI"):
        import_dataset("gopher://host/faces", tmp_path / "data")


def test_a_file_uri_is_a_path(tmp_path):
    source = shapes.fer2013_csv(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    assert import_dataset(source.as_uri(), tmp_path / "data").fingerprint == plain.fingerprint


def test_no_secret_reaches_the_data_set(upload, tmp_path):
    data = import_dataset(upload(shapes.fer2013_csv(tmp_path, FACES)), tmp_path / "data")
    found = subprocess.run(["grep", "-r", "very-secret", str(data.path)], capture_output=True, check=False)
    assert found.returncode == 1


def test_a_csv_of_many_blocks_is_read_from_any_place(tmp_path, monkeypatch):
    from fer_ray.data import csv_source

    source = shapes.fer2013_csv(tmp_path, FACES)
    plain = import_dataset(source, tmp_path / "plain")
    monkeypatch.setattr(csv_source, "_BLOCK_BYTES", 3000)
    archive = shapes.zip_of(source, tmp_path / "fer.zip")
    assert import_dataset(archive, tmp_path / "data").fingerprint == plain.fingerprint
