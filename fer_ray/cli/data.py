"""`fer-ray data`: import, draw and describe data sets of faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from fer_ray.data import Dataset

app = typer.Typer(no_args_is_help=True)

_Channels = Literal["auto", "grey", "rgb"]
_Out = Annotated[Path, typer.Option("--out", help="The folder to write; must not exist.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the data set in --out.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="fer2013.csv or its like, or a folder of class folders.")],
    out: _Out,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the data set; the folder's by default.")
    ] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Resize to SIZE x SIZE.")] = None,
    channels: Annotated[
        _Channels, typer.Option("--channels", help="auto: grey unless most show colour.")
    ] = "auto",
    merge_classes: Annotated[
        bool, typer.Option("--merge-classes", help="happy and joy are one class.")
    ] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep training copies of evaluation images.")
    ] = False,
    fraction: Annotated[float, typer.Option("--fraction", help="Of the images, per split to be made.")] = 0.1,
    seed: _Seed = 0,
    license_: Annotated[str | None, typer.Option("--license", help="Text for model cards.")] = None,
    overwrite: _Overwrite = False,
    as_json: _Json = False,
) -> None:
    """Import images of faces as a data set."""
    from fer_ray.cli.console import progress_bar
    from fer_ray.data.importer import import_dataset
    from fer_ray.data.writer import WriteOptions

    options = WriteOptions(keep_duplicates=keep_duplicates, overwrite=overwrite, fraction=fraction, seed=seed)
    with progress_bar() as progress:
        data = import_dataset(
            source,
            out,
            name=name,
            size=size,
            channels=channels,
            merge_classes=merge_classes,
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
    folder: Annotated[Path, typer.Argument(help="A data set: a folder with dataset.json.")],
    as_json: _Json = False,
) -> None:
    """Show a data set's counts, fingerprint and import report."""
    from fer_ray.data import open_dataset

    _show(open_dataset(folder), as_json)


def _show(data: "Dataset", as_json: bool) -> None:
    from fer_ray.cli.console import print_json, print_table, stdout
    from fer_ray.data.describe import count_rows, summary_lines, to_dict

    if as_json:
        print_json(to_dict(data))
        return
    print_table(f"{data.name}: {data.path}", count_rows(data))
    for line in summary_lines(data):
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)
