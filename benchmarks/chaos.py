"""Kills drivers and workers of running sweeps at random times, and looks for what was lost or doubled.

Sweeps of 24 trials of up to 9 epochs run one after another, in turn with the variants `stopping` and
`promotion`, until 30 processes have been killed with SIGKILL: half of the time the driver, which is then
resumed, else a worker, in an order and at times drawn from a seed. The network's own `fit` (spaces/ledger.py)
writes every epoch that it has finished into a ledger, synced, which the product does not read. At the end of
each sweep the ledger is held against the study and the tables:

- lost: epochs of the ledger that the epoch table has not, and trials of it that have no end in the study;
- doubled: epochs twice in the journal or the table, and configurations twice among the trials;
- epochs_repeated_max: the most epochs that one kill made to be trained again: lines of the ledger that were there.

    python benchmarks/chaos.py [--quick] [--seed 0]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml
from ledgers import SPACE, Ledger

HERE = Path(__file__).resolve().parent


class Chaos:
    """Runs sweeps and kills.

    Args:
        folder: Where sweeps, data and ledgers lie.
        kills: How many.
        seed: Of kinds and times.
    """

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.folder, self.most, self.random = folder, kills, random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.lost = self.doubled = self.repeated_max = self.repeated = self.epochs = self.sweeps = 0

    def run(self) -> None:
        """One sweep after another until enough were killed."""
        while sum(self.kills.values()) < self.most:
            self.sweeps += 1
            self._sweep(f"chaos-{self.sweeps}", "promotion" if self.sweeps % 2 else "stopping")

    def _sweep(self, name: str, variant: str) -> None:
        ledger, file = Ledger(self.folder / f"{name}.jsonl"), self.folder / f"{name}.yaml"
        content = {
            "name": name,
            "data": str(self.folder / "data"),
            "space": {"file": str(SPACE), "arguments": {"ledger": str(ledger.path)}},
            "scheduler": {"variant": variant, "max_epochs": 9},
            "max_trials": 24,
            "retries": 100,
            "seed": self.sweeps,
            "folder": str(self.folder / "sweeps"),
            "model": {"register_winner": False},
        }
        file.write_text(yaml.safe_dump(content))
        process = self._start("run", str(file))
        marks = [0]
        while not self._ended_within(process, self.random.uniform(2, 12)):
            if sum(self.kills.values()) >= self.most or not ledger.read():
                continue
            marks.append(len(ledger.read()))
            if self.random.random() < 0.5:
                process.kill()
                process.wait()
                self.kills["driver"] += 1
                process = self._start("resume", str(self.folder / "sweeps" / name))
            elif self._kill_worker(ledger):
                self.kills["worker"] += 1
            print(f"{name}: {dict(self.kills)}", flush=True)
        if process.returncode:
            raise SystemExit(f"{name} failed:\n{(self.folder / 'output.txt').read_text()[-4000:]}")
        self._compare(name, ledger, marks)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fer_ray", "sweep", *arguments]
        # A file: a pipe would stay open in Ray's own processes.
        with (self.folder / "output.txt").open("w") as output:
            return subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)

    def _ended_within(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _kill_worker(self, ledger: Ledger) -> bool:
        workers = {line.process for line in ledger.read()[-4:]}
        alive = [worker for worker in sorted(workers) if Path(f"/proc/{worker}").exists()]
        if alive:
            os.kill(self.random.choice(alive), signal.SIGKILL)
        return bool(alive)

    def _compare(self, name: str, ledger: Ledger, marks: list[int]) -> None:
        from fer_ray.search import load_result

        account = ledger.hold_against(load_result(self.folder / "sweeps" / name))
        self.lost += account.lost
        self.doubled += account.doubled
        self.epochs += account.epochs
        trained = [(line.configuration, line.epoch) for line in ledger.read()]
        for start, end in zip(marks, [*marks[1:], len(trained)], strict=True):
            repeated = sum(epoch in trained[:start] for epoch in trained[start:end])
            self.repeated += repeated
            self.repeated_max = max(self.repeated_max, repeated)
        print(f"{name}: lost {self.lost}, doubled {self.doubled}, repeated {self.repeated}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from fer_ray.data.synthetic import write_synthetic

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_synthetic(folder / "data", images=1000, size=24)
        chaos = Chaos(folder, 3 if options.quick else 30, options.seed)
        chaos.run()
    figures = {
        "kills": sum(chaos.kills.values()),
        "lost": chaos.lost,
        "doubled": chaos.doubled,
        "epochs_repeated_max": chaos.repeated_max,
        "epochs_repeated": chaos.repeated,
        "epochs": chaos.epochs,
        "sweeps": chaos.sweeps,
        "killed": dict(chaos.kills),
        "seconds": round(time.monotonic() - started, 1),
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }
    if not options.quick:
        (HERE / "results/chaos.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
