"""A sweep on four nodes with addresses of their own: one joins, one is killed, one is cut off and comes back.

The nodes are network namespaces (namespaces.py) that a bridge joins: a head, on which the sweep's driver runs, and
two more, with one CPU each. While the sweep runs

1. a fourth node joins;
2. all processes of the second are killed with SIGKILL, in the middle of a trial;
3. in full only: the cable of the fourth is pulled for 20 seconds, which is less than Ray's patience;
4. the cable of the third is pulled, in the middle of a trial, until Ray has taken it for dead and its trial goes
   on elsewhere; then it is put back. Ray ends a node that it took for dead, so this script starts it again, as
   systemd, Kubernetes or Ray's own autoscaler would.

The trials' own `fit` (spaces/ledger.py) writes every epoch that it has finished into a ledger, synced, which the
product does not read, and waits a little after each. When the sweep has ended the ledger is held against study and
tables, and the sweep against an undisturbed one of the same seed:

- lost: epochs of the ledger that the epoch table has not, and trials of it that have no end in the study;
- doubled: epochs twice in the journal or the table, and configurations twice among the trials;
- epochs_repeated, epochs_repeated_max: that were trained again, by all trials and by one trial;
- failed_trials, retries_used: as the study has them;
- driver_stood_still_s: the longest that the driver was silent, which tells how far it is every half second;
- epochs_that_differ: from the undisturbed sweep in any metric, of those that both have;
- decisions_that_differ: at the rungs, from what the reports in their order ask for, decided anew;
- same_winner: as the undisturbed sweep's, where nothing stops trials early (`none`). Where rungs do (`stopping`),
  who is stopped depends on the order in which trials arrive, and lost nodes change that.

In full: `stopping` with all of Ray's settings as they come, then `none` with Ray less patient. --quick: `stopping`
with Ray less patient. Needs root on Linux with iproute2, since it makes network namespaces; takes away all that it
has made, also after Ctrl-C, and touches no other Ray cluster.

    python benchmarks/four_nodes.py [--quick] [--keep /tmp/four]
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledgers import Line
from namespaces import Network
from observed import ObservedSweep, compare
from ray_machines import RayMachines

RESULTS = Path(__file__).resolve().parent / "results/four_nodes.json"
#: Ray takes a silent node for dead within ten seconds instead of a minute.
IMPATIENT_HEAD = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
#: A node that cannot hear it asks every two seconds whether it is taken for dead, instead of once a minute.
IMPATIENT_NODE = {"RAY_raylet_liveness_self_check_interval_ms": "2000"}


@dataclass(frozen=True)
class Plan:
    """One sweep.

    Args:
        scheduler: Its section of the sweep file.
        middle: Epochs after which a trial is sure to go on: neither a rung nor the end comes next.
        trials: How many; more than it trains until all has happened.
        compared: Trials of the undisturbed sweep; the same ones, since the proposals are.
        pace: Seconds to wait after an epoch.
        patient: Whether Ray's settings stay as they come.
    """

    scheduler: dict[str, Any]
    middle: Container[int]
    trials: int
    compared: int
    pace: float
    patient: bool = False


STOPPING = {"kind": "asha", "variant": "stopping", "eta": 3, "grace": 3, "max_epochs": 12}
NONE = {"kind": "none", "max_epochs": 12}
QUICK = [Plan(STOPPING, (4, 5, 6, 7), trials=30, compared=8, pace=1)]
FULL = [
    Plan(STOPPING, (4, 5, 6, 7), trials=60, compared=30, pace=4, patient=True),
    Plan(NONE, range(3, 10), trials=20, compared=20, pace=2),
]


class Troubles:
    """Makes them, one after another, and measures what comes of each.

    Args:
        sweep: That runs.
        machines: On which.
        middle: As in the plan.
    """

    def __init__(self, sweep: ObservedSweep, machines: RayMachines, middle: Container[int]) -> None:
        self.sweep, self.machines, self.network = sweep, machines, machines.network
        self.middle = middle
        self.events: list[dict[str, Any]] = []

    def join(self, machine: int) -> None:
        """A node that was not there is started."""
        at = time.time()
        self.machines.start(machine)
        self._happened("joins", machine, at, trains_after_s=self._trains(machine, at))

    def kill(self, machine: int) -> None:
        """A node's processes are killed in the middle of a trial."""
        line = self._under_way(machine)
        at = time.time()
        self.machines.kill(machine)
        self._happened("is killed", machine, at, **self._lost(machine, line, at))

    def cut_briefly(self, machine: int, seconds: float) -> None:
        """A node is off the network for less than Ray's patience."""
        line = self._under_way(machine)
        at = time.time()
        self.network.cut(machine)
        time.sleep(seconds)
        self.network.join(machine)
        back = self.sweep.wait_for(lambda: self._next_epoch(line, at + seconds), "the trial goes on")
        self._happened(
            f"is cut off for {seconds:g} s",
            machine,
            at,
            declared_dead=self.sweep.dead_since(self.network.address(machine), at) is not None,
            same_worker_goes_on=back.process == line.process,
            next_epoch_after_s=round(back.time - at, 1),
        )

    def cut_off(self, machine: int) -> None:
        """A node is off the network until its trial goes on elsewhere."""
        line = self._under_way(machine)
        at = time.time()
        self.network.cut(machine)
        self._happened("is cut off", machine, at, **self._lost(machine, line, at))

    def come_back(self, machine: int) -> None:
        """It is on the network again. What Ray does with it is seen, and then it is started again."""
        gave_up = self.machines.has_ended(machine)
        at = time.time()
        self.network.join(machine)
        self.sweep.wait_for(lambda: self.machines.has_ended(machine), "Ray ends that node")
        ended = time.time()
        time.sleep(2)
        left = len(self.network.processes(machine))
        self.network.kill(machine)
        started = time.time()
        self.machines.start(machine)
        self._happened(
            "comes back",
            machine,
            at,
            ray_had_ended_itself=gave_up,
            ray_ends_after_s=0 if gave_up else round(ended - at, 1),
            processes_left=left,
            started_again=True,
            trains_after_start_s=self._trains(machine, started),
        )

    def _under_way(self, machine: int) -> Line:
        """The last epoch of a machine, once that is in the middle of a trial."""
        address = self.network.address(machine)

        def found() -> Line | None:
            last = next((line for line in reversed(self.sweep.ledger.read()) if line.node == address), None)
            return last if last and last.epoch in self.middle and time.time() - last.time < 0.5 else None

        return self.sweep.wait_for(found, f"a trial under way on {address}")

    def _next_epoch(self, before: Line, since: float, elsewhere: bool = False) -> Line | None:
        lines = (line for line in self.sweep.ledger.read() if line.configuration == before.configuration)
        later = (line for line in lines if line.time > since)
        return next((line for line in later if not elsewhere or line.node != before.node), None)

    def _trains(self, machine: int, since: float) -> float:
        """Seconds until a machine has finished an epoch."""
        address = self.network.address(machine)

        def found() -> Line | None:
            lines = (line for line in self.sweep.ledger.read() if line.node == address)
            return next((line for line in lines if line.time > since), None)

        return round(self.sweep.wait_for(found, f"{address} trains").time - since, 1)

    def _lost(self, machine: int, line: Line, at: float) -> dict[str, Any]:
        """What becomes of the trial of a node that is gone."""
        address = self.network.address(machine)
        on = self.sweep.wait_for(lambda: self._next_epoch(line, at, elsewhere=True), "its trial goes on")
        dead = self.sweep.wait_for(lambda: self.sweep.dead_since(address, at), f"{address} is dead")
        return {
            "trial_had_epochs": line.epoch,
            "goes_on_elsewhere_after_s": round(on.time - at, 1),
            "goes_on_with_epoch": on.epoch,
            "goes_on_at": on.node,
            "declared_dead_after_s": round(dead["time"] - at, 1),
            "ray_says": dead["said"],
        }

    def _happened(self, what: str, machine: int, at: float, **figures: Any) -> None:
        node = self.network.address(machine)
        after = round(at - self.sweep.started, 1)
        self.events.append({"event": f"{node} {what}", "sweep_s": after, **figures})
        print(json.dumps(self.events[-1]), flush=True)


def run(plan: Plan, network: Network, folder: Path, data: Path) -> dict[str, Any]:
    """An undisturbed sweep and one with all the troubles; what came of it."""
    own = ({}, {}) if plan.patient else (IMPATIENT_HEAD, IMPATIENT_NODE)
    machines = RayMachines(network, folder, *own)
    sweeps: list[ObservedSweep] = []
    try:
        machines.start(1)
        machines.start(2, 3)
        content = {"data": str(data), "scheduler": plan.scheduler, "max_trials": plan.compared}
        sweeps.append(ObservedSweep(machines, "undisturbed", content, pace=0))
        undisturbed = sweeps[0].result()
        sweep = ObservedSweep(machines, "troubled", {**content, "max_trials": plan.trials}, plan.pace)
        sweeps.append(sweep)
        troubles = Troubles(sweep, machines, plan.middle)
        sweep.wait_for(lambda: len({line.node for line in sweep.ledger.read()}) == 3, "three nodes train")
        troubles.join(4)
        troubles.kill(2)
        if plan.patient:
            troubles.cut_briefly(4, 20)
        troubles.cut_off(3)
        troubles.come_back(3)
        sweep.hurry()
        found = compare(sweep, sweep.result(), undisturbed)
    finally:
        for started in sweeps:
            started.stop()
        machines.stop()
    return {
        "scheduler": plan.scheduler,
        "ray_settings": {**own[0], **own[1]} or "as they come",
        "events": troubles.events,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one sweep, and Ray less patient")
    parser.add_argument("--keep", type=Path, help="a short path, where sweeps and Ray's logs stay")
    options = parser.parse_args()
    # As Ctrl-C: what was made is taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    with temporary(options.keep) as folder:
        network = Network(4)
        try:
            from fer_ray.data.synthetic import write_synthetic

            write_synthetic(folder / "data", images=1000, size=24)
            sweeps = []
            for number, plan in enumerate(QUICK if options.quick else FULL):
                (folder / str(number)).mkdir()
                sweeps.append(run(plan, network, folder / str(number), folder / "data"))
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            network.remove()
    figures = summary(sweeps, [network.address(machine) for machine in range(1, 5)])
    figures["seconds"] = round(time.monotonic() - started, 1)
    if not options.quick:
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


@contextmanager
def temporary(kept: Path | None) -> Iterator[Path]:
    """A folder with a short path, since the paths of sockets lie in it."""
    folder = kept or Path(tempfile.mkdtemp(prefix="four-", dir="/tmp"))
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def summary(sweeps: list[dict[str, Any]], nodes: list[str]) -> dict[str, Any]:
    """Sums over the sweeps, then each of them, with what it was measured on."""
    from fer_ray.registry.manifest import package_versions

    summed = ("lost", "doubled", "epochs", "epochs_repeated", "failed_trials", "retries_used")
    largest = ("epochs_repeated_max", "driver_stood_still_s")
    return {
        **{key: sum(sweep[key] for sweep in sweeps) for key in summed},
        **{key: max(sweep[key] for sweep in sweeps) for key in largest},
        "nodes": nodes,
        "sweeps": sweeps,
        "versions": {
            "python": platform.python_version(),
            "linux": platform.release(),
            **package_versions(("ray", "optuna", "keras", "tensorflow-cpu", "tensorflow", "numpy")),
        },
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }


if __name__ == "__main__":
    main()
