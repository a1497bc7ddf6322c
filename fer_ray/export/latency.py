"""How long an engine takes per call on this machine."""

import statistics
import time
from collections.abc import Mapping, Sequence

from fer_ray.export.onnx_model import OnnxModel, Pixels

BATCHES = (1, 32)
_WARM_UP, _ROUNDS = 3, 30

#: Batch size to milliseconds per call.
Latency = dict[int, float]


def measure_latency(
    engines: Mapping[str, OnnxModel], images: Pixels, batches: Sequence[int] = BATCHES
) -> dict[str, Latency]:
    """Median milliseconds of a call per engine and batch size.

    Engines take turns, so that a load on the machine from elsewhere hits all of them.

    Args:
        engines: Name to model.
        images: uint8, shape (N, H, W, C), N at least 1; repeated up to the largest batch.
        batches: Images per call.
    """
    found: dict[str, Latency] = {name: {} for name in engines}
    for size in batches:
        batch = images.take(range(size), axis=0, mode="wrap")
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(_WARM_UP + _ROUNDS):
            for name, engine in engines.items():
                started = time.perf_counter()
                engine.predict(batch)
                seconds[name].append(time.perf_counter() - started)
        for name, values in seconds.items():
            found[name][size] = round(1000 * statistics.median(values[_WARM_UP:]), 4)
    return found
