"""Several machines on this one: network namespaces with an address each, joined by a bridge that leads nowhere.

The bridge lies in a namespace too, so nothing of this is seen from outside, and no packet leaves it. All of it
has a name with this process's id, and `Network.remove` takes it away with every process that is left in it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

NEEDS = (
    "needs root on Linux, iproute2 (`ip`) and the right to make network namespaces; "
    "in a container: --cap-add=NET_ADMIN --cap-add=SYS_ADMIN"
)


class Network:
    """Machines 1, 2, ... with the addresses 10.77.0.1, 10.77.0.2, ...

    Args:
        machines: How many.

    Raises:
        SystemExit: If namespaces cannot be made here.
    """

    def __init__(self, machines: int) -> None:
        if reason := why_not():
            raise SystemExit(f"{sys.argv[0]} {NEEDS}: {reason}")
        self.names = [f"fer-ray-{os.getpid()}-{number}" for number in range(machines + 1)]
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    def address(self, machine: int) -> str:
        """Of a machine."""
        return f"10.77.0.{machine}"

    def command(self, machine: int, *command: str) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.names[machine], *command]

    def cut(self, machine: int) -> None:
        """Takes the machine off the network, as a pulled cable does: nothing is refused, all is lost."""
        _ip("-n", self.names[0], "link", "set", f"port{machine}", "down")

    def join(self, machine: int) -> None:
        """Puts it back."""
        _ip("-n", self.names[0], "link", "set", f"port{machine}", "up")

    def processes(self, machine: int) -> list[int]:
        """Of a machine."""
        return [int(pid) for pid in _ip("netns", "pids", self.names[machine]).split()]

    def kill(self, machine: int) -> None:
        """Ends everything on a machine at once, as a power cut would."""
        while pids := self.processes(machine):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def remove(self) -> None:
        """Takes all of it away."""
        there = {line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()}
        for machine, name in enumerate(self.names):
            if name in there:
                self.kill(machine)
                _ip("netns", "delete", name)

    def _make(self) -> None:
        switch, *machines = self.names
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number, name in enumerate(machines, start=1):
            port = f"port{number}"
            _ip("netns", "add", name)
            _ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", switch)
            _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            # Ray asks which address leads out; nothing answers there.
            _ip("-n", name, "route", "add", "default", "dev", "eth0")


def why_not() -> str | None:
    """What keeps this process from making network namespaces; None if nothing does."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "no `ip` here"
    if os.geteuid() != 0:
        return "not root"
    name = f"fer-ray-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip()
    try:
        _ip("-n", name, "link", "add", "bridge", "type", "bridge")
        _ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "other")
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip()
    finally:
        _ip("netns", "delete", name)
    return None


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
