"""`fer-ray spaces`: what a search space holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fer_ray.spaces import Space

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Search spaces are Keras Tuner files: a HyperModel or a build(hp) function."""


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A Keras Tuner file.")],
    object_: Annotated[
        str | None, typer.Option("--object", help="Which one, if the file has several.")
    ] = None,
    arguments: Annotated[str, typer.Option(help="For its constructor, as YAML: '{filters: [32]}'.")] = "{}",
    classes: Annotated[int, typer.Option(min=2)] = 7,
    shape: Annotated[str, typer.Option(help="Height x width x channels of the images.")] = "48x48x1",
    samples: Annotated[int, typer.Option(min=0, help="Models to build for their parameter counts.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show hyperparameters, ranges, conditions, the space's size and how large its models are."""
    import yaml

    from fer_ray.cli.console import print_json, print_table, progress_bar, stdout
    from fer_ray.errors import ConfigError
    from fer_ray.spaces.describe import describe, describe_size
    from fer_ray.training.space_file import SpaceFile
    from fer_ray.training.threads import limit_threads

    limit_threads(1)
    from fer_ray.training.summary import summarise

    try:
        given = yaml.safe_load(arguments)
    except yaml.YAMLError as error:
        raise ConfigError("--arguments", "must be YAML", arguments) from error
    space_file = SpaceFile(path=file, object=object_, arguments=given)
    with progress_bar() as progress:
        found = summarise(
            space_file, classes=classes, input_shape=_shape(shape), samples=samples, progress=progress
        )
    rows, size = describe(found.space), describe_size(found.space)
    if as_json:
        built = {"parameters": found.parameters, "infeasible": found.infeasible}
        print_json({"hyperparameters": rows, "size": size, "metrics": found.metrics, **built})
        return
    print_table(str(file), rows)
    stdout.print(f"Size: {size}", highlight=False)
    stdout.print(f"Metrics of an epoch: {', '.join(found.metrics)}", highlight=False)
    if found.parameters:
        smallest, median, largest = (found.parameters[i] for i in (0, len(found.parameters) // 2, -1))
        stdout.print(
            f"Parameters of {len(found.parameters)} sampled models: {smallest:,} to {largest:,}, "
            f"median {median:,}",
            highlight=False,
        )
    for line in _searcher_lines(found.space):
        stdout.print(line, highlight=False, markup=False)
    if found.not_resumable:
        stdout.print(f"Trials cannot resume: {found.not_resumable}", highlight=False, markup=False)
    for reason in found.infeasible:
        stdout.print(f"Infeasible: {reason}", highlight=False, markup=False)


@app.command()
def copy(out: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Copy the spaces and sweep files that ship, to be changed."""
    from fer_ray.cli.console import stdout
    from fer_ray.shipped import copy_shipped_spaces

    copy_shipped_spaces(out)
    stdout.print(f"Wrote {', '.join(sorted(path.name for path in out.iterdir()))} to {out}", highlight=False)


def _searcher_lines(space: "Space") -> list[str]:
    """What each searcher does with the hyperparameters: modelled, drawn at random, enumerated."""
    from fer_ray.errors import UnsupportedSpaceError
    from fer_ray.spaces.samplers import modelled

    lines = []
    for searcher in ("tpe", "cmaes", "random", "grid"):
        try:
            treatments = modelled(searcher, space)
        except UnsupportedSpaceError as error:
            lines.append(f"Searcher {searcher}: cannot search it. {error}")
            continue
        by_treatment: dict[str, list[str]] = {}
        for name, treatment in treatments.items():
            by_treatment.setdefault(treatment, []).append(name)
        told = "; ".join(f"{treatment}: {', '.join(names)}" for treatment, names in by_treatment.items())
        lines.append(f"Searcher {searcher}: {told}")
    return lines


def _shape(text: str) -> tuple[int, int, int]:
    from fer_ray.errors import ConfigError

    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigError("--shape", "must read like 48x48x1", text)
    height, width, channels = map(int, parts)
    return height, width, channels
