"""`fer-ray demo`: the whole way once, from faces to an answering endpoint."""

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fer_ray.search import SweepResult
    from fer_ray.serving.deploy import Endpoint

_DRAWN_FACES = 4000


def demo(
    data: Annotated[
        Path | None, typer.Option(help="fer2013.csv or class folders; faces are drawn if absent.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    sweep_file: Annotated[
        Path | None, typer.Option("--sweep", help="The sweep to run; the demo.yaml that ships if absent.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the endpoint.")] = 8000,
    once: Annotated[bool, typer.Option("--once", help="Stop after the first answer.")] = False,
) -> None:
    """Find, register, serve and query a model; serves until Ctrl-C."""
    from fer_ray.cli.console import stdout
    from fer_ray.cli.leaderboard import print_leaderboard
    from fer_ray.shipped import shipped_file

    started = time.monotonic()
    faces = _make_data(data, folder)
    result = _search(faces, folder, sweep_file or shipped_file("demo.yaml"))
    assert result.outcome
    if result.outcome.model is None:
        stdout.print(f"The sweep ended by {result.outcome.ended} without a model.", highlight=False)
        raise typer.Exit(1)
    print_leaderboard(result, 10)
    endpoint = _serve(result, port)
    try:
        _ask(endpoint, faces)
        _print_addresses(endpoint, result)
        stdout.print(f"From faces to an answer in {time.monotonic() - started:.0f} s.", highlight=False)
        if not once:
            _wait_for_interrupt()
    finally:
        stdout.print("Stopping the endpoint and Ray ...", highlight=False)
        endpoint.close()


def _make_data(source: Path | None, folder: Path) -> Path:
    """Imports or draws the data set, unless an earlier demo has."""
    from fer_ray.cli.console import progress_bar, stdout
    from fer_ray.data.importer import import_dataset
    from fer_ray.data.synthetic import write_synthetic

    out = folder / ("data" if source is None else f"data-{_digest(source)}")
    if (out / "dataset.json").exists():
        stdout.print(f"Faces: {out}, made before", highlight=False)
        return out
    with progress_bar() as progress:
        if source is None:
            write_synthetic(out, images=_DRAWN_FACES, progress=progress)
        else:
            import_dataset(source, out, progress=progress)
    stdout.print(f"Faces: {out}", highlight=False)
    return out


def _digest(source: Path) -> str:
    """Eight characters that tell one source from another of the same name."""
    return hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]


def _search(faces: Path, folder: Path, sweep_file: Path) -> "SweepResult":
    """Runs the sweep under a name of its own, so that demos do not stop each other."""
    from fer_ray.cli.watching import watched
    from fer_ray.search import SweepSpec, run

    name = time.strftime("%Y%m%d-%H%M%S")
    spec = SweepSpec.from_yaml(
        sweep_file,
        {
            "name": name,
            "data": str(faces),
            "folder": str(folder / "sweeps"),
            "model.name": "demo",
            "model.registry": str(folder / "registry"),
        },
    )
    # A demo runs here, whatever cluster RAY_ADDRESS names.
    spec = spec.model_copy(update={"address": spec.address or "local"})
    with watched(name) as (watch, progress):
        return run(spec, watch=watch, progress=progress)


def _serve(result: "SweepResult", port: int) -> "Endpoint":
    from fer_ray.cli.console import progress_bar
    from fer_ray.serving.deploy import deploy

    assert result.outcome and result.outcome.model
    with progress_bar() as progress:
        return deploy(result.outcome.model, registry=result.spec.model.registry, port=port, progress=progress)


def _ask(endpoint: "Endpoint", faces: Path) -> None:
    """Sends one image of the test split and prints the answer."""
    import io

    import httpx
    from PIL import Image

    from fer_ray.cli.console import print_json, stdout
    from fer_ray.data import open_dataset

    data = open_dataset(faces)
    images, labels = data.load("test")
    buffer = io.BytesIO()
    Image.fromarray(images[0].squeeze()).save(buffer, "PNG")
    answer = httpx.post(
        f"{endpoint.url}/predict",
        content=buffer.getvalue(),
        headers={"content-type": "image/png"},
        timeout=30,
    )
    stdout.print(
        f"One test image, labelled {data.classes[labels[0]]}, and the endpoint's answer:", highlight=False
    )
    print_json(answer.raise_for_status().json())


def _print_addresses(endpoint: "Endpoint", result: "SweepResult") -> None:
    from fer_ray.cli.console import stdout

    shown = endpoint.to_dict()
    lines = {
        "Endpoint": f"{shown['url']}/predict",
        "API page": shown["docs_url"],
        "Dashboard": f"{shown['dashboard_url']} (token in {shown['dashboard_token']})",
        "Model": f"{shown['model']} in {result.spec.model.registry}",
        "Try": f"fer-ray predict IMAGE --url {shown['url']}",
    }
    for name, text in lines.items():
        stdout.print(f"{name + ':':<11} {text}", highlight=False, soft_wrap=True)


def _wait_for_interrupt() -> None:
    from fer_ray.cli.console import stdout

    stdout.print("Serving until Ctrl-C.", highlight=False)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        stdout.print()
