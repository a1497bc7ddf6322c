"""`fer-ray serve`: put a registered model behind an endpoint; `fer-ray predict` asks one."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fer_ray.serving.deploy import Endpoint

app = typer.Typer(no_args_is_help=True)

_Address = Annotated[
    str | None,
    typer.Option("--address", envvar="RAY_ADDRESS", help="A running Ray cluster: host:port, or auto."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def deploy(
    reference: Annotated[str, typer.Argument(help="name, name@alias or name:version.")],
    registry: Annotated[
        str, typer.Option("--registry", envvar="FER_RAY_REGISTRY", help="Path or URI of the registry.")
    ] = "registry",
    host: Annotated[str, typer.Option(help="Address to bind; 0.0.0.0 for every interface.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the endpoint.")] = 8000,
    replicas: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    max_replicas: Annotated[int | None, typer.Option(help="Scale up to so many with the load.")] = None,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of a replica.")] = 1,
    engine: Annotated[str, typer.Option(help="onnx, onnx_int8, or the model's default.")] = "default",
    route: Annotated[str, typer.Option(help="Path below which it answers.")] = "/",
    address: _Address = None,
    as_json: _Json = False,
) -> None:
    """Serve a model; without --address on a local Ray cluster, until Ctrl-C."""
    from fer_ray.cli.console import progress_bar
    from fer_ray.serving.deploy import deploy as deploy_model

    with progress_bar() as progress:
        endpoint = deploy_model(
            reference,
            registry=registry,
            host=host,
            port=port,
            replicas=replicas,
            max_replicas=max_replicas,
            cpus=cpus,
            engine=engine,
            route=route,
            address=address,
            progress=progress,
        )
    try:
        _show(endpoint, as_json)
        if endpoint.cluster.is_own:
            _wait_for_signal()
    finally:
        endpoint.close()


@app.command()
def status(address: _Address = "auto", as_json: _Json = False) -> None:
    """Show what a running cluster serves."""
    from fer_ray.cli.console import print_json, print_table, stdout
    from fer_ray.serving.deploy import status as read_status

    rows = [endpoint.to_dict() for endpoint in read_status(address or "auto")]
    if as_json:
        print_json(rows)
    elif rows:
        for row in rows:
            print_table(row["application"], [{"what": key, "value": row[key]} for key in row if row[key]])
    else:
        stdout.print("Nothing of fer-ray is served on this cluster.")


@app.command()
def stop(
    name: Annotated[str | None, typer.Argument(help="A model's name; all of them by default.")] = None,
    address: _Address = "auto",
) -> None:
    """Take models off a running cluster, once their requests are answered."""
    from fer_ray.cli.console import stdout
    from fer_ray.serving.deploy import stop as stop_serving

    stopped = stop_serving(name, address=address or "auto")
    stdout.print(f"Stopped {', '.join(stopped) or 'nothing'}.", highlight=False)


def predict(
    files: Annotated[list[Path], typer.Argument(help="Image files.")],
    url: Annotated[str, typer.Option("--url", help="Of the endpoint.")] = "http://127.0.0.1:8000",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of one request.")] = 30,
    as_json: _Json = False,
) -> None:
    """Classify image files at an endpoint."""
    from fer_ray.cli.console import print_json, print_table
    from fer_ray.serving.client import predict_files

    answers = predict_files(files, url, timeout_s=timeout)
    if as_json:
        print_json([answer.to_dict() for answer in answers])
    else:
        rows = [{"file": a.file, "label": a.label, "probability": a.probability} for a in answers]
        print_table(f"{answers[0].model} at {url}", rows)


def _show(endpoint: "Endpoint", as_json: bool) -> None:
    from fer_ray.cli.console import print_json, stdout

    if as_json:
        print_json(endpoint.to_dict())
        return
    lines = {
        "Model": f"{endpoint.model} ({endpoint.engine})",
        "Endpoint": f"{endpoint.url}/predict",
        "Try it": f"{endpoint.url}/",
        "API": endpoint.docs_url,
        "Ray dashboard": f"{endpoint.cluster.dashboard_url} (its token: {endpoint.to_dict()['dashboard_token']})",
        "Ray address": endpoint.cluster.address,
    }
    for name, value in lines.items():
        stdout.print(f"{name + ':':15}{value}", highlight=False, markup=False, soft_wrap=True)
    if endpoint.cluster.is_own:
        stdout.print("Serving until Ctrl-C.")


def _wait_for_signal() -> None:
    """Returns on Ctrl-C and on SIGTERM, so that both stop the cluster in order."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
