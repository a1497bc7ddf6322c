"""`fer-ray data`: import, draw and describe data sets of faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from fer_ray.data import Dataset

app = typer.Typer(no_args_is_help=True)

_Channels = Literal["auto", "grey", "rgb"]
_Out = Annotated[
    str, typer.Option("--out", help="The folder to write; must not exist. A path, or a URI such as s3://...")
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the data set in --out.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(help="CSV or Parquet file, ZIP archive, or folder; a path or a URI such as s3://..."),
    ],
    out: _Out,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the data set; the folder's by default.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="csv, parquet, folders, fer-plus, raf-db, ...; docs/data.md.")
    ] = "auto",
    votes: Annotated[
        str | None, typer.Option("--votes", help="FER+'s fer2013new.csv, for fer2013.csv.")
    ] = None,
    label_map: Annotated[
        str | None, typer.Option("--label-map", help="0=angry,1=disgust,..., a file, or a code: raf-db.")
    ] = None,
    classes: Annotated[str | None, typer.Option("--classes", help="Keep only these: happy,sad.")] = None,
    merge_classes: Annotated[
        bool, typer.Option("--merge-classes", help="happy and joy are one class.")
    ] = False,
    split: Annotated[
        str | None, typer.Option("--split", help="Make all splits anew: 80/10/10, train/validation/test.")
    ] = None,
    group_from: Annotated[
        str | None, typer.Option("--group-from", help="REGEX; its first group in a path is the person.")
    ] = None,
    seed: _Seed = 0,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Resize to SIZE x SIZE.")] = None,
    channels: Annotated[
        _Channels, typer.Option("--channels", help="auto: grey unless most show colour.")
    ] = "auto",
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep training copies of evaluation images.")
    ] = False,
    license_: Annotated[str | None, typer.Option("--license", help="Text for model cards.")] = None,
    overwrite: _Overwrite = False,
    as_json: _Json = False,
) -> None:
    """Import images of faces as a data set."""
    from fer_ray.cli.console import progress_bar
    from fer_ray.data.importer import import_dataset
    from fer_ray.data.options import WriteOptions, parse_classes, parse_split

    options = WriteOptions(
        classes=parse_classes(classes) if classes is not None else (),
        split=parse_split(split) if split is not None else None,
        group_from=group_from,
        seed=seed,
        keep_duplicates=keep_duplicates,
        overwrite=overwrite,
    )
    with progress_bar() as progress:
        data = import_dataset(
            source,
            out,
            name=name,
            format=format_,
            votes=votes,
            label_map=label_map,
            merge_classes=merge_classes,
            size=size,
            channels=channels,
            card={"license": license_} if license_ else None,
            options=options,
            progress=progress,
        )
    _show(data, as_json)


@app.command()
def synth(
    out: _Out,
    images: Annotated[int, typer.Option("--images", min=1, help="How many faces to draw.")] = 7000,
    size: Annotated[int, typer.Option("--size", min=16, help="Height and width in pixels.")] = 48,
    seed: _Seed = 0,
    overwrite: _Overwrite = False,
    as_json: _Json = False,
) -> None:
    """Draw a data set of faces with the seven emotions."""
    from fer_ray.cli.console import progress_bar
    from fer_ray.data.synthetic import write_synthetic

    with progress_bar() as progress:
        data = write_synthetic(
            out, images=images, size=size, seed=seed, overwrite=overwrite, progress=progress
        )
    _show(data, as_json)


@app.command()
def describe(
    folder: Annotated[
        str, typer.Argument(help="A data set: a folder with dataset.json; a path or a URI such as s3://...")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page with figures to this new folder.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=1, help="Shown per class and split.")] = 6,
    seed: _Seed = 0,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="No images and none of their names, charts only.")
    ] = False,
    no_augmented: Annotated[
        bool, typer.Option("--no-augmented", help="No augmented samples: needs no TensorFlow.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier page in --out.")] = False,
    as_json: _Json = False,
) -> None:
    """Show a data set's counts, sizes, copies and import report; with --out as a page with figures."""
    from fer_ray.data import open_dataset

    data = open_dataset(folder)
    if out is not None:
        from fer_ray.cli.console import progress_bar
        from fer_ray.data.page import PageOptions, write_page
        from fer_ray.training.augment_samples import augment_samples
        from fer_ray.training.threads import limit_threads

        limit_threads(1)
        options = PageOptions(
            images=images,
            seed=seed,
            faces=not no_images,
            augment=None if no_images or no_augmented else augment_samples,
            overwrite=overwrite,
        )
        with progress_bar() as progress:
            write_page(data, out, options, progress)
    _show(data, as_json)
    if not as_json:
        _say_where(out)


def _say_where(out: Path | None) -> None:
    from fer_ray.cli.console import stdout

    text = f"Page: {out / 'index.html'}" if out else "A page with figures: add --out FOLDER"
    stdout.print(text, highlight=False, markup=False, soft_wrap=True)


def _show(data: "Dataset", as_json: bool) -> None:
    from fer_ray.cli.console import print_json, print_table, stdout
    from fer_ray.data.describe import count_rows, summary_lines, to_dict

    if as_json:
        print_json(to_dict(data))
        return
    print_table(f"{data.name}: {data.files.where}", count_rows(data))
    for line in summary_lines(data):
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)
