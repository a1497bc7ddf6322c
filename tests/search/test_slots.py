"""How many trials a node holds; no cluster here."""

import pytest

from fer_ray.search.cluster import held_by
from fer_ray.search.sections import ResourcesSection


@pytest.mark.parametrize(
    ("cpu", "gpu", "held"),
    [
        (1, 0, 8),
        (3, 0, 2),
        (0.5, 0, 16),
        (1, 1, 2),
        (1, 2, 1),
        (1, 3, 0),
        (1, 0.5, 4),
        # Not three: a trial gets its 0.6 from one GPU.
        (1, 0.6, 2),
        (1, 0.3, 6),
        (1, 0.1, 8),
        (4, 0.1, 2),
    ],
)
def test_trials_on_eight_cores_and_two_gpus(cpu, gpu, held):
    assert held_by({"CPU": 8, "GPU": 2}, ResourcesSection(cpu=cpu, gpu=gpu)) == held


def test_a_node_without_what_is_wanted_holds_none():
    assert held_by({"CPU": 8}, ResourcesSection(gpu=0.5)) == held_by({}, ResourcesSection()) == 0
