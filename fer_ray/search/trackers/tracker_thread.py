"""A tracker in a thread of its own: no trial waits for its server."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

_log = logging.getLogger(__name__)


class Named(Protocol):
    """What warnings can name, and what can be closed."""

    name: str

    def close(self) -> None:
        """No more comes."""


T = TypeVar("T", bound=Named)


class TrackerThread(Generic[T]):
    """Makes calls in their order; a tracker that fails gets none any more.

    Args:
        tracker: To call.
    """

    def __init__(self, tracker: T) -> None:
        self.tracker = tracker
        self._calls: SimpleQueue[Callable[[T], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=tracker.name, daemon=True)
        self._thread.start()

    def tell(self, call: Callable[[T], None]) -> None:
        """Makes a call after those before it."""
        if self._thread.is_alive():
            self._calls.put(call)

    def close(self, seconds: float) -> None:
        """Closes the tracker once all calls are made, and waits for that, but not for ever."""
        self.tell(lambda tracker: tracker.close())
        self._calls.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            _log.warning("%s has not taken all of this sweep in after %.0f s.", self.tracker.name, seconds)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call(self.tracker)
            except Exception as error:  # whatever a tracker's library or server raises
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                _log.warning("%s is told nothing more of this sweep: %s", self.tracker.name, reason)
                return
