"""Every kind of source, imported from files of its shape: as a folder or file, as a ZIP archive, and from S3.

The same 70 drawn faces are written in each shape (tests/data/source_shapes.py), with what the originals have too:
misspelled names, images without an emotion, boxes outside of pictures, missing files. Of each kind:

- images: that were found, `refused` of them with their reasons, and `kept`;
- splits: how many images lie in train, validation and test in the end;
- people: whom the names tell; nobody lies in two splits;
- as_fer2013_csv: whether the data set is the same, by its fingerprint, as that of fer2013.csv of these faces; kinds
  with other classes, sizes or splits cannot be;
- zip, s3: whether it is the same data set from there. S3 is a server of its protocol (moto) in this process.

--quick leaves S3 out.

    python benchmarks/sources.py [--quick]
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/sources.json"
sys.path.insert(0, str(ROOT / "tests" / "data"))

import source_shapes as shapes  # noqa: E402

from fer_ray.data import SPLITS, Dataset  # noqa: E402
from fer_ray.data.importer import import_dataset  # noqa: E402

FACES = shapes.Faces()


def measure(kind: Any, root: Path, reference: str, bucket: str | None) -> dict[str, Any]:
    """Imports one kind from everywhere; its row of the table."""
    root.mkdir()
    source = kind.make(root, FACES)
    options = {name: value(root, FACES) if callable(value) else value for name, value in kind.options.items()}
    data = import_dataset(source, root / "out", **options)
    archive = shapes.zip_of(source, root / "source.zip", wrap="" if source.is_file() else "wrapped/")
    found = {
        **row(data),
        "as_fer2013_csv": data.fingerprint == reference,
        "zip": import_dataset(archive, root / "zipped", **options).fingerprint == data.fingerprint,
    }
    if bucket is not None:
        from_s3 = import_dataset(uploaded(source, bucket, root.name), root / "from-s3", **options)
        found["s3"] = from_s3.fingerprint == data.fingerprint
    return found


def row(data: Dataset) -> dict[str, Any]:
    report = data.report
    return {
        "images": report["images"],
        "refused": ", ".join(f"{count} {reason}" for reason, count in report["refused"].items()) or "none",
        "kept": report["kept"],
        "classes": len(data.classes),
        "splits": " / ".join(str(sum(data.counts[split].values())) for split in SPLITS),
        "people": report["subjects"]["distinct"],
    }


def uploaded(source: Path, bucket: str, name: str) -> str:
    """The address of a source in the bucket."""
    from pyarrow.fs import FileSystem, copy_files

    filesystem, path = FileSystem.from_uri(bucket)
    filesystem.create_dir(path)
    target = f"{path}/{name}/{source.name}"
    copy_files(str(source), target, destination_filesystem=filesystem)
    return bucket.replace(path, target, 1)


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an empty bucket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = f"endpoint_override={host}:{port}&scheme=http&allow_bucket_creation=true&region=us-east-1"
        yield f"s3://faces?{options}"
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="without S3")
    quick = parser.parse_args().quick
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, s3_server() as bucket:
        root = Path(folder)
        plain = shapes.fer2013_csv(root, FACES)
        reference = import_dataset(plain, root / "reference").fingerprint
        sources = {}
        for number, kind in enumerate(shapes.KINDS):
            sources[kind.name] = measure(kind, root / str(number), reference, None if quick else bucket)
            print(kind.name, sources[kind.name], flush=True)
    figures = {
        "kinds": len(sources),
        "same_from_zip": sum(found["zip"] for found in sources.values()),
        "same_from_s3": None if quick else sum(found["s3"] for found in sources.values()),
        "as_fer2013_csv": sum(found["as_fer2013_csv"] for found in sources.values()),
        "seconds": round(time.monotonic() - started, 1),
        "date": time.strftime("%Y-%m-%d"),
        "sources": sources,
    }
    if not quick:
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
