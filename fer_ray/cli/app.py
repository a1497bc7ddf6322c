"""The `fer-ray` command line: assembles the groups and turns errors into one line."""

import sys
from typing import Annotated

import typer

from fer_ray import __version__
from fer_ray.cli import cluster, data, demo, models, serve, spaces, sweep
from fer_ray.errors import FerRayError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(data.app, name="data", help="Import, draw and describe data sets of faces.")
app.add_typer(spaces.app, name="spaces", help="Show what a search space holds.")
app.add_typer(sweep.app, name="sweep", help="Run, resume and read hyperparameter sweeps.")
app.add_typer(models.app, name="models", help="List, evaluate and promote registered models.")
app.add_typer(serve.app, name="serve", help="Put a registered model behind an endpoint.")
app.add_typer(cluster.app, name="cluster", help="Start, show and end a Ray cluster on this machine.")
app.command("predict")(serve.predict)
app.command("demo")(demo.demo)


def _print_version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Finds the best facial emotion recognition model that your machines can find, and serves it."""


def main() -> None:
    """Runs the command; an error is one line on stderr and exit code 1, a traceback only with `--debug`."""
    try:
        app()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        known = isinstance(error, FerRayError)
        text = str(error) if known else f"{type(error).__name__}: {error} (--debug shows where)"
        print(f"Error: {text}", file=sys.stderr)
        sys.exit(1)
