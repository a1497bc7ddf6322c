"""Limits on what may hang in a worker: a user's `build` or `fit`, a download, a lock."""

import faulthandler
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fer_ray.errors import SweepError

_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)')


@contextmanager
def time_limit(seconds: float | None, report: Path) -> Iterator[Callable[[], None]]:
    """Ends the process if its body takes too long, with all threads' stacks in a report.

    Python's watchdog is no Python thread: it fires too while an extension never gives the interpreter back.

    Args:
        seconds: The limit; None for none.
        report: Where the stacks go; its folder is made.

    Yields:
        A function that lets the time begin anew.
    """
    if seconds is None:
        yield lambda: None
        return
    report.parent.mkdir(exist_ok=True)
    with report.open("w") as file:

        def begin() -> None:
            faulthandler.dump_traceback_later(seconds, exit=True, file=file)

        begin()
        try:
            yield begin
        finally:
            faulthandler.cancel_dump_traceback_later()
            report.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class StageLimit:
    """A limit on work that is done once for a sweep; it travels to the worker with that work.

    Args:
        key: In the sweep file.
        what: Is limited.
        seconds: The limit; None for none.
        report: Where the stacks go, on storage that the workers share.
        space_file: Whose line is named as the place.
    """

    key: str
    what: str
    seconds: float | None
    report: Path
    space_file: Path

    @contextmanager
    def watch(self) -> Iterator[Callable[[], None]]:
        """Ends the worker as `time_limit` does. Ray then calls the work again, which tells why it ended.

        Raises:
            SweepError: If a worker before this one was ended so.
        """
        if self.report.exists() and (stacks := self.report.read_text()):
            self.report.unlink()
            rule = f"{self.what} must end within {self.seconds:g} s"
            place = place_of_hang(stacks, self.space_file)
            raise SweepError(self.key, rule, place, "Mend what hangs, or set a longer limit")
        with time_limit(self.seconds, self.report) as begin:
            yield begin


def place_of_hang(stacks: str, space_file: Path) -> str:
    """Where a process hung, in words.

    Args:
        stacks: Of all its threads, as `faulthandler` writes them, each with the innermost frame first.
        space_file: Named where the thread that trains is in it.
    """
    threads = [list(_FRAME.finditer(thread)) for thread in stacks.split("\n\n")]
    users = [[frame for frame in frames if frame["file"] == str(space_file)] for frames in threads]
    position = next((place for place, own in enumerate(users) if own), len(threads) - 1)
    innermost, own = threads[position][:1], users[position][:1]
    inside = [f"{frame['file']}, line {frame['line']}, in {frame['function']}" for frame in innermost]
    if not own:
        return "".join(inside) or "no Python code"
    words = f"line {own[0]['line']} of the space file, in {own[0]['function']}"
    return words if own == innermost else f"{words}, which was in {inside[0]}"
