"""How long a fer2013.csv takes to import, beside the usual loop that only parses it.

    python benchmarks/import_csv.py --csv fer2013.csv [--out benchmarks/results/import_csv.json]
    python benchmarks/import_csv.py --quick

Ours parses, checks, hashes, encodes and writes; the loop is ``pandas.read_csv`` and ``np.array(row.split())`` for
each row, and keeps nothing. Each run is a process of its own and the two alternate; times are of the work itself
(``*_process_s`` count the interpreter's start and imports too), medians over the rounds. Memory is the peak of the
resident memory of all of a run's processes together, sampled every 20 ms. Without --csv, faces are drawn.

Expected on 2 cores with the 35,887 rows of FER2013: ours about 4 s and 300 MB, the loop about 9 s.
The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUICK_ROWS, ROWS = 2_000, 35_887


def run_ours(csv: Path, folder: Path) -> float:
    from fer_ray.data.importer import import_dataset

    start = time.perf_counter()
    import_dataset(csv, folder / "data")
    return time.perf_counter() - start


def run_pandas_split(csv: Path, folder: Path) -> float:
    import numpy as np
    import pandas as pd

    start = time.perf_counter()
    frame = pd.read_csv(csv)
    for pixels in frame["pixels"]:
        np.array(pixels.split(), dtype="float32")
    return time.perf_counter() - start


CHILDREN = {"ours": run_ours, "pandas_split": run_pandas_split}


def measure(kind: str, csv: Path) -> dict[str, float]:
    """Runs one child; its own seconds, its process's seconds, and its peak memory in MB."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, __file__, "--child", kind, "--csv", str(csv), "--folder", folder]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process, peak = psutil.Process(child.pid), 0
        while child.poll() is None:
            try:
                tree = [process, *process.children(recursive=True)]
                peak = max(peak, sum(p.memory_info().rss for p in tree))
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.02)
        output = child.communicate()[0]
        if child.returncode:
            raise SystemExit(f"{kind} failed with exit code {child.returncode}")
        return {"s": float(output), "process_s": time.perf_counter() - start, "mb": peak / 1e6}


def write_drawn_csv(path: Path, rows: int) -> None:
    """Writes drawn faces in the shape of fer2013.csv."""
    from fer_ray.data.synthetic import iter_faces

    usages = ["Training"] * 8 + ["PublicTest", "PrivateTest"]
    with path.open("w") as file:
        file.write("emotion,pixels,Usage\n")
        number = 0
        for images, labels in iter_faces(rows, seed=0):
            for image, label in zip(images, labels, strict=True):
                file.write(f"{label},{' '.join(map(str, image.ravel()))},{usages[number % 10]}\n")
                number += 1


def compare(csv: Path, rounds: int) -> dict[str, object]:
    csv.read_bytes()  # into the file cache, for both alike
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in CHILDREN}
    for number in range(rounds):
        for kind in CHILDREN:
            runs[kind].append(measure(kind, csv))
            print(f"round {number + 1}/{rounds} {kind}: {runs[kind][-1]}", flush=True)

    def median(kind: str, key: str) -> float:
        return round(statistics.median(run[key] for run in runs[kind]), 3)

    return {
        "ours_s": median("ours", "s"),
        "pandas_split_s": median("pandas_split", "s"),
        "ours_peak_mb": round(max(run["mb"] for run in runs["ours"]), 1),
        "ours_process_s": median("ours", "process_s"),
        "pandas_split_process_s": median("pandas_split", "process_s"),
        "pandas_split_peak_mb": round(max(run["mb"] for run in runs["pandas_split"]), 1),
        "rounds": rounds,
        "runs_s": {kind: [round(run["s"], 3) for run in each] for kind, each in runs.items()},
    }


def machine() -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    return {"cores": os.cpu_count(), "python": platform.python_version(), "commit": commit.strip()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="a fer2013.csv; drawn faces when left out")
    parser.add_argument("--quick", action="store_true", help="one round; 2,000 drawn faces without --csv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the result here")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(CHILDREN[options.child](options.csv, options.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        csv, rows = options.csv, None
        if csv is None:
            csv, rows = Path(folder, "drawn.csv"), QUICK_ROWS if options.quick else ROWS
            write_drawn_csv(csv, rows)
        result = compare(csv, 1 if options.quick else options.rounds)
        result |= {"csv_mb": round(csv.stat().st_size / 1e6, 1), "drawn_rows": rows, **machine()}
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
