"""Drives a sweep as `fer-ray sweep run` does, and writes down when the driver had a turn and what the head said.

Lines of JSON: `turn`, with the time, each time that the driver tells how far it is, which is every half second
unless it stands still; `node`, with the time, whenever the cluster's head takes a node for alive or dead, which is
asked in a thread of its own.

    python benchmarks/observed_driver.py SWEEP.yaml OBSERVED.jsonl
"""

import json
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any


def main() -> None:
    file, observed = map(Path, sys.argv[1:])
    from fer_ray.search import SweepSpec, run

    spec = SweepSpec.from_yaml(file)
    thread = threading.Thread(target=watch_nodes, args=(str(spec.address), observed), daemon=True)

    def progress(stage: str, done: int, total: int) -> None:
        """The first time, the driver has connected to the cluster."""
        if thread.ident is None:
            thread.start()

    # Tune pickles what it calls.
    run(spec, watch=partial(tell_turn, observed), progress=progress)


def tell_turn(observed: Path, status: Any) -> None:
    write(observed, "turn", epochs=status.epochs, running=status.running, waiting=status.waiting)


def watch_nodes(address: str, observed: Path) -> None:
    """Writes down each change, until the process ends."""
    from ray._raylet import GcsClient

    head, before = GcsClient(address=address), {}
    while True:
        for node_id, node in head.get_all_node_info().items():
            alive = node.state == 0
            if before.get(node_id) != alive:
                before[node_id] = alive
                said = node.death_info.reason_message
                write(observed, "node", address=node.node_manager_address, alive=alive, said=said)
        time.sleep(0.2)


def write(observed: Path, kind: str, **what: Any) -> None:
    with observed.open("a") as file:
        file.write(json.dumps({"kind": kind, "time": time.time(), **what}) + "\n")


if __name__ == "__main__":
    main()
