"""How memory grows over 300 short trials, and what one worker more costs of the data set.

One sweep of 300 trials of one epoch of a small convolutional network on 300 drawn faces, two workers, recycling
off. The driver and each worker are sampled after every trial: their own memory, resident without what is shared.
The growth is the slope of a line through the samples after the first sixth of the trials.

Then four trials each on 60,000 faces and on 300, with two workers: what a worker takes for itself on the large data
set, more than on the small one, as a share of the large data set's bytes.

    python benchmarks/memory.py [--quick]
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
SPACE = {"filters": [4], "blocks": [2, 2], "convolutions": [1, 1]}


def own_mb(process: int) -> float:
    """Megabytes of a process without what it shares."""
    import psutil

    memory = psutil.Process(process).memory_info()
    return float(memory.rss - memory.shared) / 1e6


def sweep(folder: Path, name: str, data: Path, trials: int, workers: int) -> dict[int, list[float]]:
    """Runs a sweep; the samples of each process, the driver's under its own id."""
    from fer_ray.results.journal import EpochJournal
    from fer_ray.search import SweepSpec, run

    spec = SweepSpec.parse(
        {
            "name": name,
            "data": str(data),
            "space": {"file": str(REPOSITORY / "search_spaces/baseline.py"), "arguments": SPACE},
            "searcher": {"kind": "random", "known": []},
            "scheduler": {"kind": "none", "max_epochs": 1},
            "max_trials": trials,
            "concurrency": workers,
            "limits": {"worker_mb": None},
            "folder": str(folder),
            "model": {"register_winner": False},
        }
    )
    samples: dict[int, list[float]] = defaultdict(list)
    stop = threading.Event()

    def watch() -> None:
        seen, journal = 0, EpochJournal(spec.path / "epochs.jsonl")
        while not stop.wait(0.05):
            rows = journal.read()
            for row in rows[seen:]:
                worker = int(row["worker"].rpartition("-")[2])
                samples[worker].append(own_mb(worker))
                samples[os.getpid()].append(own_mb(os.getpid()))
            seen = len(rows)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run(spec)
    finally:
        stop.set()
        watcher.join()
    assert set(result.trials["state"].to_pylist()) == {"COMPLETE"}
    return samples


def growth(samples: list[float], skipped: int) -> float:
    """Megabytes per 100 trials."""
    kept = samples[skipped:]
    return float(np.polyfit(range(len(kept)), kept, 1)[0] * 100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="60 trials")
    options = parser.parse_args()
    import ray

    from fer_ray.data.synthetic import write_synthetic

    trials = 60 if options.quick else 300
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_synthetic(folder / "small", images=300, size=48)
        samples = sweep(folder, "many", folder / "small", trials, 2)
        workers = [found for process, found in samples.items() if process != os.getpid()]
        large_mb = _write_large(folder / "large", 6_000 if options.quick else 60_000)
        second = {
            size: _most(sweep(folder, f"on-{size}", folder / size, 4, 2)) for size in ("small", "large")
        }
    figures: dict[str, Any] = {
        "driver_mb_per_100_trials": round(growth(samples[os.getpid()], trials // 6), 2),
        "worker_mb_per_100_trials": round(max(growth(found, trials // 12) for found in workers), 2),
        "extra_worker_dataset_share": round((second["large"] - second["small"]) / large_mb, 4),
        "driver_mb": [round(samples[os.getpid()][0], 1), round(samples[os.getpid()][-1], 1)],
        "worker_mb": [[round(found[0], 1), round(found[-1], 1)] for found in workers],
        "dataset_mb": round(large_mb, 1),
        "trials": trials,
        "seconds": round(time.monotonic() - started, 1),
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }
    ray.shutdown()
    if not options.quick:
        (REPOSITORY / "benchmarks/results/memory.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def _most(samples: dict[int, list[float]]) -> float:
    """The most that any worker has for itself."""
    return max(max(found) for process, found in samples.items() if process != os.getpid())


def _write_large(path: Path, images: int) -> float:
    """Draws a data set; megabytes of what a worker sees of it."""
    from fer_ray.data import open_dataset
    from fer_ray.data.synthetic import write_synthetic

    write_synthetic(path, images=images, size=48)
    dataset = open_dataset(path)
    return sum(dataset.load(split)[0].nbytes for split in ("train", "validation")) / 1e6


if __name__ == "__main__":
    main()
