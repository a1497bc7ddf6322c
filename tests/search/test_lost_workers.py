"""What Ray says of a worker's end."""

import pytest
from ray import cloudpickle
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

from fer_ray.search.lost_workers import is_gone_with_its_node, kind_of
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


def died(message: str) -> ActorDiedError:
    return ActorDiedError(cause=ActorDiedErrorContext(actor_id=b"a" * 16, error_message=message))


@pytest.mark.parametrize(
    ("error", "node"),
    [
        (died("The actor died because its node has died. Node Id: ab\n\tterminated unexpectedly"), True),
        (ActorUnavailableError("RPC error: Socket closed", b"a" * 16), True),
        (died(KILLED), False),
        (RayActorError(None, LOW), False),
        (ActorDiedError(), False),
        (None, False),
    ],
)
def test_a_node_that_died_or_does_not_answer_is_told_from_a_worker_that_died(error, node):
    # As Tune keeps it.
    assert is_gone_with_its_node(cloudpickle.loads(cloudpickle.dumps(error))) is node
