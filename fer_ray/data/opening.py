"""Finds out what a source is: by what lies there, or by what the user says."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from fer_ray.data.csv_labels import CsvLabels
from fer_ray.data.csv_source import CsvSource, columns_of
from fer_ray.data.entries import Layout, Listing, Wishes, ignored_files
from fer_ray.data.image_collections import Collection, FileCollection
from fer_ray.data.image_shape import Channels
from fer_ray.data.image_source import ImageSource
from fer_ray.data.joined_source import JoinedSource
from fer_ray.data.label_map import LabelMap, parse_label_map
from fer_ray.data.labels import split_name
from fer_ray.data.layouts import LAYOUTS
from fer_ray.data.parquet_collection import ParquetCollection, parquet_files
from fer_ray.data.places import Place, locate, read_start
from fer_ray.data.schema import MANIFEST, REJECTED
from fer_ray.data.sources import Source
from fer_ray.data.votes import VoteRow, read_votes
from fer_ray.data.zip_place import ZipPlace
from fer_ray.errors import ConfigError, DataError
from fer_ray.progress import Progress, no_progress

#: What `--format` may be.
FORMATS = ("auto", "csv", "parquet", *(layout.name for layout in LAYOUTS))

_KINDS = "a CSV file, a Parquet file, a ZIP archive or a folder"
_FETCHED_BYTES = 8 << 20
#: More than what Git LFS leaves in place of a file.
_POINTER_BYTES = 1024
#: Where several CSV files hold the same images, as in the challenge's archive, the one to take.
_WHOLE_CSV = ("icml_face_data.csv", "fer2013.csv")


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked of a source."""

    format: str
    votes: Sequence[VoteRow]
    wishes: Wishes
    size: int | None
    channels: Channels
    progress: Progress


def open_source(
    source: str | Path,
    *,
    format: str = "auto",
    votes: str | Path | None = None,
    label_map: str | None = None,
    merge_classes: bool = False,
    size: int | None = None,
    channels: Channels = "auto",
    progress: Progress = no_progress,
) -> Source:
    """Opens a source; the arguments are those of `import_dataset`.

    Raises:
        ConfigError: If `format` or `label_map` is none.
        DataError: If the source is none.
    """
    if format not in FORMATS:
        raise ConfigError("--format", "must be one of " + ", ".join(FORMATS), repr(format))
    labels = parse_label_map(label_map) if label_map else LabelMap()
    request = _Request(
        format=format,
        votes=_read_votes(votes) if votes else (),
        wishes=Wishes(labels=labels, merge_classes=merge_classes),
        size=size,
        channels=channels,
        progress=progress,
    )
    place, file = locate(source)
    opened = _open_place(place, request) if file is None else _open_file(place, file, request)
    if channels == "rgb" and isinstance(opened, CsvSource | JoinedSource):
        raise ConfigError("--channels", "must be grey or auto for CSV files, whose pixels are grey", "rgb")
    if votes and not isinstance(opened, CsvSource):
        raise DataError(str(votes), "votes row by row belong to one CSV file", opened.name)
    return opened


def _open_file(place: Place, path: str, request: _Request) -> Source:
    where = f"{place.where}/{path}"
    start = read_start(place, path, 4096)
    if not start:
        raise DataError(where, "the source must hold images", "an empty file")
    if start.startswith(b"PK\x03\x04"):
        name = path.rpartition("/")[2].removesuffix(".zip")
        return _open_place(ZipPlace(_open_archive(place, path, request.progress), name, where), request)
    kind = "parquet" if start.startswith(b"PAR1") else "csv"
    if request.format not in {"auto", kind}:
        raise DataError(where, f"a file must be what --format says, {request.format}", f"a file like {kind}")
    if kind == "parquet":
        return _images(ParquetCollection(place, [path], request.wishes), request)
    if b"\0" in start:
        remedy = "Unpack other archives before the import"
        raise DataError(where, f"the source must be {_KINDS}", "a binary file of another kind", remedy)
    return _csv(place, path, request)


def _open_place(place: Place, request: _Request) -> Source:
    listing = Listing(place, request.progress)
    tables = parquet_files(listing.others)
    # Beside images, CSV and Parquet files are annotations.
    bare = request.format == "auto" and not listing.images
    if bare or request.format == "parquet":
        _check_fetched(listing)
    csvs = _csv_files(listing) if bare or request.format == "csv" else []
    if csvs or request.format == "csv":
        return _csvs(listing, csvs, request)
    if (bare and tables) or request.format == "parquet":
        if not tables:
            raise DataError(place.where, "must hold Parquet files", "none")
        return _images(ParquetCollection(place, tables, request.wishes, _ignored(listing, tables)), request)
    layout = _layout(listing, request.format)
    return _images(FileCollection(layout, listing, layout.read(listing, request.wishes)), request)


def _layout(listing: Listing, name: str) -> Layout:
    """The layout that was asked for, or the first that fits."""
    fits = (
        layout for layout in LAYOUTS if layout.name == name or (name == "auto" and layout.recognises(listing))
    )
    layout = next(fits, None)
    if layout is None:
        count = len(listing.sizes)
        raise DataError(
            listing.place.where,
            "must hold images in one folder for each class, or another kind of source",
            f"{count:,} files, none of them an image" if count else "an empty folder",
            f"Name {_KINDS}",
        )
    return layout


def _images(collection: Collection, request: _Request) -> Source:
    return ImageSource(collection, request.wishes, request.size, request.channels, request.progress)


def _csv_files(listing: Listing) -> list[str]:
    """The CSV files with pixels and labels; the challenge's test.csv, without labels, is none."""
    named = listing.named(lambda name: name.endswith(".csv"))
    return [path for path in named if {"emotion", "pixels"} <= columns_of(listing.place, path).keys()]


def _csvs(listing: Listing, paths: Sequence[str], request: _Request) -> Source:
    """One CSV file, or one for each split by its name."""
    place, names = listing.place, {PurePosixPath(path).name.lower(): path for path in paths}
    whole = [names[name] for name in _WHOLE_CSV if name in names]
    if whole or len(paths) == 1:
        path = whole[0] if whole else paths[0]
        return _csv(place, path, request, _ignored(listing, [path]))
    splits = {path: split_name(PurePosixPath(path).stem) for path in paths}
    if not paths or None in splits.values() or len(set(splits.values())) < len(paths):
        raise DataError(
            place.where,
            "must hold one CSV file of images, or one for each split, named train.csv, val.csv and test.csv",
            ", ".join(paths) or "none",
            "Name the file itself",
        )
    parts = {
        path: CsvSource(
            place, path, CsvLabels(request.wishes, split=split), request.size, _ignored(listing, paths)
        )
        for path, split in splits.items()
    }
    return JoinedSource(place.name, parts)


def _csv(place: Place, path: str, request: _Request, ignored: Mapping[str, int] | None = None) -> Source:
    """One CSV file; its name tells the split, as a Parquet file's does, unless there is a `Usage`."""
    split = None if request.votes else split_name(PurePosixPath(path).stem)
    labels = CsvLabels(request.wishes, split, request.votes)
    return CsvSource(place, path, labels, request.size, ignored)


def _check_fetched(listing: Listing) -> None:
    """Where images are not what is read, tables and archives that Git LFS left behind are what was meant."""
    for path in listing.named(lambda name: name.endswith((".csv", ".parquet", ".zip"))):
        if listing.sizes[path] < _POINTER_BYTES:
            read_start(listing.place, path, _POINTER_BYTES)


def _ignored(listing: Listing, used: Sequence[str]) -> dict[str, int]:
    """Counts the files that are not read, but for those of our own data sets that are no images."""
    own = listing.named(lambda name: name in {MANIFEST, REJECTED})
    return ignored_files(listing.sizes, [*used, *own])


def _read_votes(source: str | Path) -> Sequence[VoteRow]:
    place, path = locate(source)
    if path is None:
        raise DataError(str(source), "the votes must be a file, FER+'s fer2013new.csv", "a folder")
    where = f"{place.where}/{path}"
    read_start(place, path, _POINTER_BYTES)
    try:
        with place.open(path) as file:
            return read_votes(file, where)
    except OSError as error:
        raise DataError(where, "the votes must be readable", str(error).rstrip(".")) from error


def _open_archive(place: Place, path: str, progress: Progress) -> IO[bytes]:
    """An archive is read in small pieces; where each takes a journey, it is fetched first, to a temporary file."""
    if place.readers == 1:
        return place.open(path)
    total, done = place.size(path), 0
    with ExitStack() as stack:
        local: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
        try:
            with place.open(path) as file:
                while piece := file.read(_FETCHED_BYTES):
                    local.write(piece)
                    done += len(piece)
                    progress("fetching (bytes)", done, max(total, done))
        except OSError as error:
            where = f"{place.where}/{path}"
            raise DataError(where, "must be readable to its end", str(error).rstrip(".")) from error
        # The place keeps it open.
        stack.pop_all()
    return local
