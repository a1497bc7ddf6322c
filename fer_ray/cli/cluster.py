"""`fer-ray cluster`: several Ray nodes on this machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fer_ray.nodes import Cluster, ClusterStatus

app = typer.Typer(no_args_is_help=True)
_JOBS_SHOWN = 10

_State = Annotated[
    Path | None,
    typer.Option(
        "--state", envvar="FER_RAY_CLUSTER_STATE", help="Folder that keeps it; for a second cluster."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    nodes: Annotated[int, typer.Option(min=1, help="Nodes, the head included.")] = 1,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="Of each node; the cores are divided if absent.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Of the head; 6379 if free.")] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Of the dashboard; 8265 if free.")
    ] = None,
    state: _State = None,
    as_json: _Json = False,
) -> None:
    """Start a Ray cluster on this machine; it lives until `fer-ray cluster down`."""
    from fer_ray.cli.console import print_json, progress_bar
    from fer_ray.nodes import up as start

    with progress_bar() as progress:
        cluster = start(
            nodes, cpus=cpus, port=port, dashboard_port=dashboard_port, state=state, progress=progress
        )
    if as_json:
        print_json(
            {"nodes": cluster.nodes, "dashboard_url": cluster.dashboard_url, **cluster.client_environment}
        )
    else:
        _show_new(cluster)


@app.command()
def status(state: _State = None, as_json: _Json = False) -> None:
    """Show nodes, what they do, and where dashboard and token are."""
    from fer_ray.cli.console import print_json
    from fer_ray.nodes import status as read_status

    found = read_status(state)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)


@app.command()
def down(state: _State = None) -> None:
    """End the cluster, and nothing else on this machine."""
    from fer_ray.cli.console import stdout
    from fer_ray.nodes import down as stop

    ended = stop(state)
    text = f"Ended the {len(ended.nodes)} nodes at {ended.address}." if ended else "No cluster is up."
    stdout.print(text, highlight=False)


def _show_new(cluster: "Cluster") -> None:
    from fer_ray.nodes.state import STATE_VARIABLE, state_option

    cpus = ", ".join(f"{node.name} {node.cpus}" for node in cluster.nodes)
    gpus = sum(node.gpus for node in cluster.nodes)
    variables = " ".join(f"{name}={value}" for name, value in cluster.client_environment.items())
    option = state_option(cluster.state)
    # A sweep has no option for it.
    named = f"{STATE_VARIABLE}={shlex.quote(str(cluster.state))} " if option else ""
    _print(
        {
            "Ray address": cluster.address,
            "Dashboard": f"{cluster.dashboard_url} (its token: {cluster.token_file})",
            "CPUs": cpus,
            **({"GPUs": str(gpus)} if gpus else {}),
            "Sweep": f"{named}fer-ray sweep run my.yaml --address {cluster.address}",
            "Other programs": variables,
            "Stop": f"fer-ray cluster down{option}",
        }
    )


def _show(found: "ClusterStatus") -> None:
    from fer_ray.cli.console import print_table, stdout

    has_gpus = any(node.gpus for node in found.nodes)
    rows = [
        {
            "node": node.name,
            "state": node.state,
            "CPUs in use": _usage(node.cpus_in_use, node.cpus),
            **({"GPUs in use": _usage(node.gpus_in_use, node.gpus)} if has_gpus else {}),
            "pid": node.pid,
        }
        for node in found.nodes
    ]
    print_table(f"Ray cluster {found.address}", rows)
    if found.jobs:
        jobs = [{"job": job.job, "status": job.status, "command": job.command} for job in found.jobs]
        print_table("Newest jobs", jobs[:_JOBS_SHOWN])
    _print({"Dashboard": f"{found.dashboard_url} (its token: {found.token})"})
    if not found.is_answering:
        stdout.print("The dashboard does not answer, so use and jobs are not known.", highlight=False)


def _usage(used: float | None, total: int) -> str:
    return f"-/{total}" if used is None else f"{used:g}/{total}"


def _print(lines: dict[str, str]) -> None:
    from fer_ray.cli.console import stdout

    for name, value in lines.items():
        stdout.print(f"{name + ':':16}{value}", highlight=False, markup=False, soft_wrap=True)
