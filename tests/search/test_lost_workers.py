"""What Ray says of a worker's end."""

import pytest

from fer_ray.search.lost_workers import kind_of
from fer_ray.search.study import FailureKind

KILLED = (
    "The actor died unexpectedly before finishing this task. Worker unexpectedly exits with a connection error "
    "code 2. End of file. Some common causes include: (1) the process was killed by the OOM killer due to high "
    "memory usage, (2) ray stop --force was called, (3) the worker crashed unexpectedly due to SIGSEGV."
)
LOW = "Task was killed due to the node running low on memory. Memory on the node was 15.2GB / 16.0GB (0.95)."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (KILLED, FailureKind.WORKER),
        (LOW, FailureKind.MEMORY),
        ("ray.exceptions.OutOfMemoryError: out", FailureKind.MEMORY),
    ],
)
def test_only_rays_own_word_makes_it_a_lack_of_memory(text, kind):
    assert kind_of(text) is kind
