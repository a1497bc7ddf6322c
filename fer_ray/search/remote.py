"""Functions that need TensorFlow, run in a worker: the driver of a sweep imports none."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from fer_ray.errors import FerRayError, SweepError
from fer_ray.progress import Progress

#: A cluster that has room gives it sooner than this.
_SECONDS_UNTIL_TOLD = 5


def run_in_worker(
    function: Callable[..., Any], *arguments: Any, cpu: float, stage: str, progress: Progress
) -> Any:
    """Calls a function in a Ray worker and waits for it, first for room on the cluster.

    Args:
        function: Importable on the worker; called with the arguments.
        *arguments: Object references among them arrive as their objects.
        cpu: Cores to reserve.
        stage: What the progress is called.
        progress: Told once a second that the work goes on.

    Raises:
        FerRayError: The function's own.
        SweepError: If the worker died, twice, or the function failed in another way.
    """
    return run_in_workers(function, [arguments], cpu=cpu, stage=stage, progress=progress)[0]


def run_in_workers(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    *,
    cpu: float,
    gpu: float = 0,
    stage: str,
    progress: Progress,
) -> list[Any]:
    """Calls a function once for each tuple of arguments, all at a time as far as the cluster has room.

    Args:
        function: As in `run_in_worker`.
        calls: The arguments of each call.
        cpu, gpu: To reserve for each.
        stage: As there.
        progress: As there.

    Raises:
        FerRayError: As there, of the first call that fails.
    """
    import ray

    _wait_for_room(cpu, gpu, stage, progress)
    # The worker ends with its call: it would keep TensorFlow's memory while the sweep trains.
    remote = ray.remote(num_cpus=cpu, num_gpus=gpu, max_retries=1, max_calls=1)(_call)
    named = remote.options(name=function.__name__)
    references = [named.remote(function, *arguments) for arguments in calls]
    _wait(lambda: not ray.wait(references, num_returns=len(calls), timeout=1.0)[1], stage, progress)
    try:
        results: list[Any] = ray.get(references)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FerRayError):
            raise error.cause from None
        raise SweepError(stage, "failed in its worker", repr(error.cause)) from error
    except ray.exceptions.RayError as error:
        raise SweepError(stage, "lost its worker", " ".join(str(error).split())[:300]) from error
    progress(stage, 1, 1)
    return results


def hide_unreserved_gpus() -> None:
    """Shows this worker's process no GPU unless it has reserved some, before TensorFlow is imported.

    Ray leaves CUDA_VISIBLE_DEVICES as it is then; TensorFlow would take every GPU of the node, other trials' too.
    """
    import ray

    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    hide_unreserved_gpus()
    return function(*arguments)


def _wait_for_room(cpu: float, gpu: float, stage: str, progress: Progress) -> None:
    """Waits, and says so, until other sweeps leave room for one call: a task of Ray's would wait silently."""
    import ray

    group = ray.util.placement_group([{"CPU": cpu, **({"GPU": gpu} if gpu else {})}])
    try:
        if not group.wait(_SECONDS_UNTIL_TOLD):
            wanted = f"{cpu:g} free CPUs" + (f" and {gpu:g} GPUs" if gpu else "")
            _wait(lambda: group.wait(1), f"{stage}: waiting for {wanted}", progress)
    finally:
        ray.util.remove_placement_group(group)


def _wait(done: Callable[[], bool], stage: str, progress: Progress) -> None:
    """Tells the progress once for each time that it is not done."""
    started = time.monotonic()
    while not done():
        elapsed = int(time.monotonic() - started)
        progress(stage, elapsed, elapsed + 1)
