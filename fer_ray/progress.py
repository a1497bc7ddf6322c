"""How long work tells its caller how far it is."""

from collections.abc import Callable

#: Called as ``progress(stage, done, total)``; the same stage counts up to its total.
Progress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """The default: says nothing."""
