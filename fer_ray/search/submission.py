"""Sweeps as Ray jobs: their driver runs on the cluster, and whoever submitted it may go away.

Code travels with the job: fer_ray itself, the sweep file, and the modules beside the space file. Data and results
do not: they lie where every node sees them under the same path.
"""

import asyncio
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
import tenacity

import fer_ray
from fer_ray.errors import ClusterError, SweepError
from fer_ray.ray_connection import connect_jobs, first_line
from fer_ray.search.folder import beside, write_sweep_file
from fer_ray.search.spec import SweepSpec

_SECONDS_UNTIL_READY = 60
_SWEEP_FILE = "sweep.yaml"
#: Time to end the epochs that are under way and to write the tables, before Ray kills the driver.
_SECONDS_TO_STOP = 600
_STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": str(_SECONDS_TO_STOP)}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A submitted sweep.

    Args:
        id: The job's in Ray: the sweep's name and how often it was submitted, such as ``faces-2``.
        sweep: The sweep's name.
        folder: The sweep's folder, as the cluster sees it.
        state: ``PENDING``, ``RUNNING``, ``STOPPED``, ``SUCCEEDED`` or ``FAILED``, as Ray says.
        message: What Ray says about it.
        started: Seconds since 1970, or None if it has not begun.
        ended: The same of its end.
    """

    id: str
    sweep: str
    folder: str
    state: str
    message: str
    started: float | None
    ended: float | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("STOPPED", "SUCCEEDED", "FAILED")


def submit(spec: SweepSpec, address: str | None = None) -> Job:
    """Submits a sweep; one that runs is left alone, one that ended or was stopped goes on.

    Args:
        spec: The sweep; local paths in it are made absolute and must mean the same on the cluster's nodes.
        address: Of the cluster's head, ``host:6379``, or of its dashboard, ``http://host:8265``; if None, the
            sweep file's, RAY_API_SERVER_ADDRESS, RAY_ADDRESS or the cluster of this machine.

    Raises:
        ClusterError: If the cluster does not answer.
        SweepError: If there is no space file, or another sweep of that name is being run there.
    """
    if not spec.space.file.is_file():
        raise SweepError("space.file", "must be a Python file", str(spec.space.file))
    address = address or spec.address
    client = connect_jobs(address)
    spec = _absolute(spec)
    with _answering(address):
        earlier = [job for job in _jobs_of(client) if job.sweep == spec.name]
    alive = next((job for job in earlier if not job.is_over), None)
    if alive is not None:
        if alive.folder != str(spec.path):
            rule = f"must not be the name of another sweep that is being run, in {alive.folder}"
            raise SweepError("name", rule, spec.name, "Take another name, or stop that sweep")
        return alive
    # Not their count: Ray forgets jobs, and an id that is taken would be refused. Others may have submitted some.
    numbers = (job.id.rpartition("-")[2] for job in earlier)
    last = max((int(number) for number in numbers if number.isdecimal()), default=0)
    job_id = f"{spec.name}-{last + 1}"
    with _bundle(spec) as bundle, _answering(address):
        _submit(
            client,
            entrypoint=_entrypoint(spec.folder),
            submission_id=job_id,
            runtime_env={
                "working_dir": str(bundle),
                "py_modules": [str(Path(fer_ray.__file__).parent)],
                "env_vars": _STOP,
            },
            metadata=spec.metadata,
        )
    return find_job(spec.name, address)


def jobs(address: str | None = None) -> list[Job]:
    """All sweeps that were submitted to a cluster, those submitted last first.

    Args:
        address: As in `submit`.

    Raises:
        ClusterError: If the cluster does not answer.
    """
    with _answering(address):
        return _jobs_of(connect_jobs(address))


def find_job(sweep: str, address: str | None = None) -> Job:
    """The job that a sweep was submitted as last.

    Args:
        sweep: The sweep's name.
        address: As in `submit`.

    Raises:
        ClusterError: If the cluster does not answer.
        SweepError: If no sweep of that name was submitted there.
    """
    found = jobs(address)
    for job in found:
        if job.sweep == sweep:
            return job
    names = ", ".join(sorted({job.sweep for job in found})) or "none"
    raise SweepError(
        "sweep", "must be the name of one that was submitted to this cluster", sweep, f"There: {names}"
    )


def logs(sweep: str, address: str | None = None) -> str:
    """What a submitted sweep has printed so far.

    Args:
        sweep: Its name.
        address: As in `submit`.

    Raises:
        ClusterError, SweepError: As `find_job`.
    """
    job = find_job(sweep, address)
    with _answering(address):
        return str(connect_jobs(address).get_job_logs(job.id))


def follow(sweep: str, address: str | None = None) -> Iterator[str]:
    """Yields what a submitted sweep prints, from its beginning, until it is over.

    Args:
        sweep: Its name.
        address: As in `submit`.

    Raises:
        ClusterError, SweepError: As `find_job`.
    """
    job = find_job(sweep, address)
    lines = connect_jobs(address).tail_job_logs(job.id)
    with asyncio.Runner() as runner, _answering(address):
        while True:
            try:
                yield runner.run(anext(lines))
            except StopAsyncIteration:
                return


def stop(sweep: str, address: str | None = None) -> Job:
    """Stops a submitted sweep as Ctrl-C stops one here, and waits for its end; submitted again, it goes on.

    Args:
        sweep: Its name.
        address: As in `submit`.

    Raises:
        ClusterError, SweepError: As `find_job`.
    """
    job = find_job(sweep, address)
    if job.is_over:
        return job
    with _answering(address):
        connect_jobs(address).stop_job(job.id)
        while not (job := find_job(sweep, address)).is_over:
            time.sleep(0.5)
    return job


def _entrypoint(folder: Path) -> str:
    """Runs in a shell, in the bundle.

    RAY_ADDRESS is the cluster that runs the job. The driver leaves the bundle first: Ray unpacks it anew for each
    node, and nodes of one machine share the place.
    """
    place = shlex.quote(str(folder))
    run = f'python -m fer_ray sweep run "$bundle/{_SWEEP_FILE}" --or-resume --address "$RAY_ADDRESS"'
    return f"bundle=$PWD; mkdir -p {place} && cd {place} && exec {run}"


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*No available agent"),
    wait=tenacity.wait_fixed(1),
    stop=tenacity.stop_after_delay(_SECONDS_UNTIL_READY),
    reraise=True,
)
def _submit(client: Any, **job: Any) -> None:
    """Submits; a cluster that has just started takes no jobs yet."""
    try:
        client.submit_job(**job)
    except RuntimeError as error:
        # Submitted twice at the same time: the other one's job is this one's too.
        if "already exists" not in str(error):
            raise


def _jobs_of(client: Any) -> list[Job]:
    """Drivers that were called by hand have the metadata too, and no id by which they could be followed."""
    all_of = client.list_jobs()
    found = [one for one in all_of if one.submission_id and "sweep" in (one.metadata or {})]
    found.sort(key=lambda details: details.start_time or 0, reverse=True)
    return [
        Job(
            id=details.submission_id,
            sweep=details.metadata["sweep"],
            folder=details.metadata.get("folder", ""),
            state=str(getattr(details.status, "value", details.status)),
            message=" ".join((details.message or "").split()),
            started=_seconds(details.start_time),
            ended=_seconds(details.end_time),
        )
        for details in found
    ]


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


@contextmanager
def _answering(address: str | None) -> Iterator[None]:
    """Turns what a cluster that is gone makes of a call into one error."""
    import aiohttp
    import requests

    try:
        yield
    except (requests.RequestException, aiohttp.ClientError, OSError, RuntimeError) as error:
        where = f"Ray cluster {address}" if address else "Ray cluster"
        raise ClusterError(where, "must answer", first_line(error)) from error


def _absolute(spec: SweepSpec) -> SweepSpec:
    """With paths that do not hang on where the driver runs, and the cluster that the job runs on."""
    warm_start = [path.expanduser().absolute() for path in spec.searcher.warm_start]
    return spec.model_copy(
        update={
            "data": _absolute_location(spec.data),
            "folder": spec.folder.expanduser().absolute(),
            "publish": _absolute_location(spec.publish) if spec.publish else None,
            "model": spec.model.model_copy(update={"registry": _absolute_location(spec.model.registry)}),
            "searcher": spec.searcher.model_copy(update={"warm_start": warm_start}),
            "storage": _absolute_storage(spec.storage),
            "address": None,
        }
    )


def _absolute_location(location: str) -> str:
    return location if "://" in location else str(Path(location).expanduser().absolute())


def _absolute_storage(url: str | None) -> str | None:
    """Of a SQLite file: its driver runs in another folder."""
    if url is None:
        return None
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:  # the sweep says so
        return url
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return url
    whole = parsed.set(database=str(Path(parsed.database).absolute()))
    return whole.render_as_string(hide_password=False)


@contextmanager
def _bundle(spec: SweepSpec) -> Iterator[Path]:
    """What the job's driver and workers have as their working directory: the sweep file, and modules.

    Every Python file beside the space file comes along, and every package: the space may import them.
    """
    with tempfile.TemporaryDirectory() as temporary:
        bundle, folder = Path(temporary), beside(spec.space.file.absolute())
        packages = [init.parent for init in folder.glob("*/__init__.py")]
        for package in packages:
            with suppress(FileExistsError):
                shutil.copytree(
                    package, bundle / package.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
                )
        for module in {*folder.glob("*.py"), spec.space.file}:
            if module.is_file():  # an editor's lock is a link to nowhere
                shutil.copyfile(module, bundle / module.name)
        space = spec.space.model_copy(update={"file": Path(spec.space.file.name)})
        # Ray gives it the same permissions on each node.
        write_sweep_file(bundle / _SWEEP_FILE, spec.model_copy(update={"space": space}))
        yield bundle
