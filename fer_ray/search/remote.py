"""Functions that need TensorFlow, run in a worker: the driver of a sweep imports none."""

import time
from collections.abc import Callable
from typing import Any

from fer_ray.errors import FerRayError, SweepError
from fer_ray.progress import Progress


def run_in_worker(
    function: Callable[..., Any], *arguments: Any, cpu: float, stage: str, progress: Progress
) -> Any:
    """Calls a function in a Ray worker and waits for it.

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
    import ray

    started = time.monotonic()
    # The worker ends with its call: it would keep TensorFlow's memory while the sweep trains.
    reference = ray.remote(num_cpus=cpu, max_retries=1, max_calls=1)(function).remote(*arguments)
    while not ray.wait([reference], timeout=1.0)[0]:
        elapsed = int(time.monotonic() - started)
        progress(stage, elapsed, elapsed + 1)
    try:
        result = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FerRayError):
            raise error.cause from None
        raise SweepError(stage, "failed in its worker", repr(error.cause)) from error
    except ray.exceptions.RayError as error:
        raise SweepError(stage, "lost its worker", " ".join(str(error).split())[:300]) from error
    progress(stage, 1, 1)
    return result
