"""Images a second that a machine trains, by few workers of many threads or by many of one, in either precision.

Each worker trains the baseline space's default (16 filters, four blocks, one convolution, batches of 64) on the
same 3,000 noise images of 48x48 for five epochs, judged on 300. The first epoch, with building and tracing, is not
counted; before the second the workers wait for each other, so that all train at the same time.

    python benchmarks/thread_layout.py [--cores 2] [--rounds 2] [--precisions float32 mixed_bfloat16]
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES, EPOCHS = 3000, 5


def train_worker(threads: int, precision: str, barrier: Any, results: Any) -> None:
    """Trains in a process of its own and puts the time of its counted epochs, in seconds."""
    from fer_ray.training.threads import limit_threads

    limit_threads(threads)
    import numpy as np

    from fer_ray.objective import Objective
    from fer_ray.training.space_file import SpaceFile
    from fer_ray.training.trial import TrialConfig, TrialData, train

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 48, 48, 1), np.uint8)
    labels = random.integers(0, 7, IMAGES)
    config = TrialConfig(
        space_file=SpaceFile(
            path=REPOSITORY / "search_spaces/baseline.py",
            arguments={"filters": [16], "convolutions": [1, 1], "batch_sizes": [64]},
        ),
        space={"space": []},
        values={},
        objective=Objective(metric="val_loss", mode="min"),
        max_epochs=EPOCHS,
        precision=precision,
    )
    counted = 0.0

    def report(metrics: dict[str, Any]) -> None:
        nonlocal counted
        if metrics["epoch"] == 1:
            barrier.wait()
        else:
            counted += metrics["seconds"]

    train(
        config,
        TrialData(train=(images, labels), validation=(images[:300], labels[:300]), classes=7),
        report=report,
    )
    results.put(counted)


def images_a_second(workers: int, threads: int, precision: str) -> float:
    """Of all workers together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.SimpleQueue()
    processes = [
        context.Process(target=train_worker, args=(threads, precision, barrier, results))
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return sum(IMAGES * (EPOCHS - 1) / results.get() for _ in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    arguments = parser.parse_args()
    layouts = {"one worker, all threads": (1, arguments.cores), "one thread each": (arguments.cores, 1)}
    for _ in range(arguments.rounds):
        for precision in arguments.precisions:
            for name, (workers, threads) in layouts.items():
                started = time.monotonic()
                found = round(images_a_second(workers, threads, precision))
                row = {"layout": name, "workers": workers, "threads": threads, "precision": precision}
                print(
                    json.dumps({**row, "images_per_second": found, "took": round(time.monotonic() - started)})
                )


if __name__ == "__main__":
    main()
