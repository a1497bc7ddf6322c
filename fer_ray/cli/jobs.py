"""`fer-ray sweep submit`, `status`, `logs`, `attach` and `stop`: sweeps whose driver runs on a cluster."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fer_ray.errors import SweepError

if TYPE_CHECKING:
    from fer_ray.search import Job

_Name = Annotated[str, typer.Argument(help="The sweep's name.")]
_Address = Annotated[
    str | None,
    typer.Option(
        help="http://HOST:8265 or HOST:6379; if absent, of RAY_API_SERVER_ADDRESS, RAY_ADDRESS or this machine."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def submit(
    file: Annotated[Path, typer.Argument(help="A sweep file.")],
    address: Annotated[
        str | None,
        typer.Option(
            help="http://HOST:8265 or HOST:6379; if absent, of the sweep file, RAY_API_SERVER_ADDRESS, RAY_ADDRESS "
            "or this machine."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the sweep, and of its folder.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Any key, such as scheduler.eta=4; may be repeated.")
    ] = None,
    follow: Annotated[bool, typer.Option("--attach", help="Follow it until it is over.")] = False,
    as_json: _Json = False,
) -> None:
    """Submit a sweep to a Ray cluster; submitted again it goes on, and one that runs is left alone."""
    from fer_ray.cli.sweep import parse_overrides
    from fer_ray.search import SweepSpec
    from fer_ray.search import submit as submit_sweep

    given = {"name": name} if name else {}
    spec = SweepSpec.from_yaml(file, {**given, **parse_overrides(override or [])})
    job = submit_sweep(spec, address)
    cluster = address or spec.address
    _show(job, as_json, cluster)
    if follow:
        attach(job.sweep, cluster)


def status(
    name: Annotated[str | None, typer.Argument(help="The sweep's name; all if absent.")] = None,
    address: _Address = None,
    as_json: _Json = False,
) -> None:
    """Show the sweeps that were submitted to a cluster."""
    from fer_ray.cli.console import print_json, print_table
    from fer_ray.search import jobs
    from fer_ray.search.submission import find_job

    if name is not None:
        _show(find_job(name, address), as_json, address)
        return
    found = jobs(address)
    if as_json:
        print_json([vars(job) for job in found])
        return
    rows = [
        {
            "job": job.id,
            "sweep": job.sweep,
            "state": job.state,
            "started": _clock(job.started),
            "minutes": f"{((job.ended or time.time()) - job.started) / 60:.1f}" if job.started else None,
            "folder": job.folder,
        }
        for job in found
    ]
    print_table("Submitted sweeps", rows, ["job", "sweep", "state", "started", "minutes", "folder"])


def logs(name: _Name, address: _Address = None) -> None:
    """Print what a submitted sweep has printed so far."""
    from fer_ray.search.submission import logs as read_logs

    sys.stdout.write(read_logs(name, address))


def attach(name: _Name, address: _Address = None) -> None:
    """Follow a submitted sweep until it is over; Ctrl-C leaves it running."""
    from fer_ray.cli.console import stderr
    from fer_ray.search.submission import find_job, follow

    try:
        for text in follow(name, address):
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        stderr.print(
            f"Left running. Stop it with: fer-ray sweep stop {name}{_given(address)}", highlight=False
        )
        return
    job = find_job(name, address)
    if job.state == "FAILED":
        raise SweepError(
            f"sweep {name}",
            "its job must succeed",
            job.message,
            f"See: fer-ray sweep logs {name}{_given(address)}",
        )


def stop(name: _Name, address: _Address = None, as_json: _Json = False) -> None:
    """Stop a submitted sweep cleanly; submitted again it goes on."""
    from fer_ray.search import stop as stop_sweep

    _show(stop_sweep(name, address), as_json, address)


def _show(job: "Job", as_json: bool, address: str | None) -> None:
    from fer_ray.cli.console import print_json, stdout

    if as_json:
        print_json(vars(job))
        return
    message = f" {job.message}" if job.message else ""
    stdout.print(f"{job.id}: {job.state}.{message}", highlight=False, markup=False, soft_wrap=True)
    stdout.print(f"Folder: {job.folder}", highlight=False, markup=False, soft_wrap=True)
    if not job.is_over:
        follow = f"Follow it with: fer-ray sweep attach {job.sweep}{_given(address)}"
        stdout.print(follow, highlight=False, markup=False, soft_wrap=True)


def _given(address: str | None) -> str:
    """The option as it was given, for a command that is to be copied."""
    return f" --address {address}" if address else ""


def _clock(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
