"""`fer-ray models`: list, show, evaluate and promote registered models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from fer_ray.export.evaluate_version import VersionEvaluation

app = typer.Typer(no_args_is_help=True)

_Registry = Annotated[
    str, typer.Option("--registry", envvar="FER_RAY_REGISTRY", help="Path or URI of the registry.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Reference = Annotated[str, typer.Argument(help="name, name@alias or name:version.")]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="List the versions of this model.")] = None,
    registry: _Registry = "registry",
    as_json: _Json = False,
) -> None:
    """List the models, or the versions of one."""
    from fer_ray.cli.console import print_json, print_table, stderr
    from fer_ray.registry import Registry
    from fer_ray.registry.overview import list_models, list_versions

    found = Registry(registry)
    rows = list_versions(found, name) if name else list_models(found)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(f"{name or 'Models'} in {found.location}", [_listed(row) for row in rows])
    else:
        stderr.print(f"No models in {found.location}.")


@app.command()
def show(reference: _Reference, registry: _Registry = "registry", as_json: _Json = False) -> None:
    """Print the model card, or the manifest as JSON."""
    from rich.markdown import Markdown

    from fer_ray.cli.console import stdout
    from fer_ray.registry import Registry
    from fer_ray.registry.card import render_card

    version = Registry(registry).resolve(reference)
    if as_json:
        print(version.manifest.to_json(), end="")
    elif stdout.is_terminal:
        stdout.print(Markdown(render_card(version.manifest)))
    else:
        print(render_card(version.manifest), end="")


@app.command()
def promote(
    reference: _Reference,
    alias: Annotated[str, typer.Argument(help="The alias to point at it.")] = "production",
    registry: _Registry = "registry",
    as_json: _Json = False,
) -> None:
    """Point an alias at a version; what serves the alias follows at its next deployment."""
    from fer_ray.cli.console import print_json, stdout
    from fer_ray.registry import Registry

    version = Registry(registry).promote(reference, alias)
    if as_json:
        print_json({"name": version.name, "alias": alias, "version": version.version})
    else:
        stdout.print(f"{version.name}@{alias} is now {version.reference}.", highlight=False)


@app.command()
def evaluate(
    reference: _Reference,
    data: Annotated[str, typer.Option("--data", help="A data set; a path or a URI.")],
    split: Annotated[Literal["train", "validation", "test"], typer.Option("--split")] = "test",
    engine: Annotated[
        Literal["onnx", "onnx_int8"] | None,
        typer.Option("--engine", help="The version's default if not told."),
    ] = None,
    confusion: Annotated[
        Path | None, typer.Option("--confusion", help="Write the confusion matrix to this PNG.")
    ] = None,
    registry: _Registry = "registry",
    as_json: _Json = False,
) -> None:
    """Evaluate a version on a split, as it would be served."""
    from fer_ray.cli.console import print_json, progress_bar, stderr
    from fer_ray.export.evaluate_version import evaluate_version
    from fer_ray.registry import Registry
    from fer_ray.results.confusion_plot import save_confusion_plot

    with progress_bar() as progress:
        found = evaluate_version(
            Registry(registry), reference, data, split=split, engine=engine, progress=progress
        )
    for warning in found.warnings:
        stderr.print(f"Warning: {warning}", style="yellow", highlight=False)
    if confusion:
        save_confusion_plot(found.evaluation, confusion, f"{found.reference} on {found.data}, {split} split")
    if as_json:
        print_json(found.to_dict())
    else:
        _print_evaluation(found)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people, 80 columns wide: the number with its interval and n, or the problem in its place."""
    shown: dict[str, Any] = {key: row[key] for key in ("model", "versions", "version") if key in row}
    told = row["problem"]
    if row["accuracy"] is not None:
        told = _accuracy(row["accuracy"], row["interval"], row["n"])
    return {**shown, "aliases": ", ".join(row["aliases"]) or None, "accuracy on test, 95% interval": told}


def _accuracy(accuracy: float, interval: list[float] | tuple[float, float], n: int) -> str:
    low, high = interval
    return f"{accuracy:.2%} ({low:.2%} to {high:.2%}), n = {n:,}"


def _print_evaluation(found: "VersionEvaluation") -> None:
    from dataclasses import asdict

    from fer_ray.cli.console import print_table, stdout

    scores = found.evaluation
    stdout.print(scores.protocol, highlight=False)
    told = _accuracy(scores.accuracy, scores.interval, scores.n)
    stdout.print(f"Accuracy {told}, 95% Wilson interval", highlight=False)
    stdout.print(
        f"Macro-F1 {scores.macro_f1:.4f}, balanced accuracy {scores.balanced_accuracy:.4f}", highlight=False
    )
    print_table("Per class", [asdict(row) for row in scores.per_class])
