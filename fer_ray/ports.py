"""Ports of this machine that nobody listens on."""

import random
import socket
from itertools import islice

#: Linux gives ports from 32768 on to outgoing connections, Ray 10002 to 19999 to workers and Serve 30000 to 31000
#: to replicas.
_LEFT_ALONE = range(20_000, 30_000)


def is_free(host: str, port: int) -> bool:
    """Whether a port can be bound; an empty host means every interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A port that is free on every interface now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port


def ports_for_later(count: int) -> list[int]:
    """Distinct ports that are free now, and that hardly anybody takes before they are bound.

    They are drawn, so that two programs that both bind theirs later are unlikely to have chosen the same one.
    """
    drawn = random.SystemRandom().sample(_LEFT_ALONE, len(_LEFT_ALONE))
    return list(islice((port for port in drawn if is_free("", port)), count))
