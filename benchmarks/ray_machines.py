"""Ray nodes on machines of their own (namespaces.py): started as a cluster's manager starts them, and ended."""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from namespaces import Network

_SECONDS_TO_START, _SECONDS_TO_END = 120, 20


class RayMachines:
    """A Ray cluster with a node of one CPU on each machine that is started; machine 1 is its head.

    Each has a temporary folder of its own, as machines have; what it writes lies in `folder`.

    Args:
        network: Of the machines.
        folder: Short, since the paths of sockets are.
        of_head, of_others: Variables of the head, and of the other nodes.
    """

    def __init__(
        self, network: Network, folder: Path, of_head: dict[str, str], of_others: dict[str, str]
    ) -> None:
        self.network, self.folder = network, folder
        self.address = f"{network.address(1)}:6379"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LEDGER_"))}
        self.environment = {**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        self._of_head, self._of_others = of_head, of_others
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, *machines: int) -> None:
        """Starts nodes and waits until they have; the head by itself before any other.

        Raises:
            SystemExit: If one does not start.
        """
        for machine in machines:
            self._launch(machine)
        deadline = time.monotonic() + _SECONDS_TO_START
        while waiting := [one for one in machines if "Ray runtime started" not in self._log(one).read_text()]:
            if self.has_ended(waiting[0]) or time.monotonic() > deadline:
                raise SystemExit(f"node {waiting[0]} did not start:\n{self._log(waiting[0]).read_text()}")
            time.sleep(0.1)

    def has_ended(self, machine: int) -> bool:
        """Whether a node's `ray start --block` has ended: by itself, if nobody asked it to."""
        return self._nodes[machine].poll() is not None

    def kill(self, machine: int) -> None:
        """Ends a machine's processes at once."""
        self.network.kill(machine)
        self._nodes[machine].wait()

    def stop(self) -> None:
        """Ends all nodes, the head last, and whatever still runs on their machines."""
        for machine, node in sorted(self._nodes.items(), reverse=True):
            node.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(_SECONDS_TO_END)
            self.kill(machine)
        self._nodes.clear()

    def _launch(self, machine: int) -> None:
        is_head = machine == 1
        address = self.network.address(machine)
        temporary = self.folder / str(machine)
        head = ["--head", "--port=6379", "--include-dashboard=false"]
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
            *(head if is_head else [f"--address={self.address}"]),
            *(f"--node-ip-address={address}", f"--node-name={address}", f"--temp-dir={temporary}"),
            *("--num-cpus=1", "--num-gpus=0", f'--resources={{"machine-{machine}": 1}}'),
            f"--object-store-memory={100 * 2**20}",
        ]
        own = self._of_head if is_head else self._of_others
        with self._log(machine).open("w") as log:
            self._nodes[machine] = subprocess.Popen(
                self.network.command(machine, *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self.environment, **own, "LEDGER_NODE": address},
                start_new_session=True,
            )

    def _log(self, machine: int) -> Path:
        return self.folder / f"{machine}.log"
