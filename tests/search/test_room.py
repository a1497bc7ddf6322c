"""How many trials at a time: the cluster's room, looked at again while a sweep runs."""

import pytest

from fer_ray.errors import ClusterError
from fer_ray.search.room import Room

GONE = -1


class Cluster:
    """Holds some trials; the time is told, not waited for."""

    def __init__(self, held: int) -> None:
        self.held, self.time, self.asked = held, 0.0, 0

    def room(self, most=None, grows=False) -> Room:
        return Room(self.ask, most, grows=grows, clock=lambda: self.time)

    def ask(self) -> int:
        self.asked += 1
        if self.held == GONE:
            raise ClusterError("Ray cluster", "its head must stay up")
        return self.held

    def later(self, held: int) -> None:
        self.held, self.time = held, self.time + 60


def test_nodes_that_join_are_used_and_the_places_of_lost_ones_are_kept():
    cluster = Cluster(2)
    room = cluster.room()
    assert room.trials == room.look() == 2
    cluster.later(3)
    assert (room.trials, room.look(), room.trials) == (2, 3, 3)
    cluster.later(0)
    assert room.look() == 3
    cluster.later(5)
    assert room.look() == 5


def test_a_sweep_never_has_more_trials_than_it_asks_for():
    cluster = Cluster(2)
    room = cluster.room(most=3)
    assert room.look() == 2
    cluster.later(8)
    assert room.look() == 3


@pytest.mark.parametrize(("most", "grows"), [(2, False), (None, True), (2, True)])
def test_a_head_that_is_gone_is_noticed_however_many_trials_there_are(most, grows):
    cluster = Cluster(2)
    room = cluster.room(most, grows)
    assert room.trials == 2
    cluster.later(GONE)
    with pytest.raises(ClusterError, match="its head must stay up"):
        room.look()


def test_the_cluster_is_asked_every_few_seconds_only():
    cluster = Cluster(2)
    room = cluster.room()
    for _ in range(100):
        cluster.time += 0.1
        room.look()
    assert cluster.asked <= 3


@pytest.mark.parametrize(("most", "trials"), [(None, 1), (8, 8)])
def test_where_an_autoscaler_may_add_nodes_trials_wait_for_them(most, trials):
    assert Cluster(0).room(most, grows=True).trials == trials
