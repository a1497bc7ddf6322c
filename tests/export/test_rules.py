"""The rules of parity and of int8, on arrays made for them; no Keras."""

import re

import numpy as np
import pytest

from fer_ray.errors import ExportError
from fer_ray.export.int8 import judge
from fer_ray.export.parity import compare


def answers(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One-hot probabilities of three classes: the label where `right`, else the next class."""
    return np.eye(3, dtype=np.float32)[np.where(right, labels, (labels + 1) % 3)]


def verdict_on(n: int, lost: int, gained: int):
    labels = np.arange(n) % 3
    float32, int8 = np.ones(n, bool), np.ones(n, bool)
    int8[:lost] = False
    float32[lost : lost + gained] = False
    return judge(answers(float32, labels), answers(int8, labels), labels)


@pytest.mark.parametrize(
    ("n", "lost", "gained", "accepted", "reason"),
    [
        (199, 0, 0, False, "fewer than the 200"),
        (200, 0, 0, True, "chance explains"),
        (200, 1, 0, True, "chance explains"),  # exactly half a point, one image
        (200, 2, 0, False, r"falls by 1\.00%, more than 0\.5%"),
        (1000, 4, 0, True, "chance explains"),  # p = 1/16
        (1000, 5, 0, False, "more than chance explains"),  # half a point, but p = 1/32
        (4000, 30, 20, True, "chance explains"),  # a quarter of a point, p = 0.10
        (4000, 400, 379, False, r"falls by 0\.53%, more than 0\.5%"),  # p = 0.24 does not excuse it
        (10000, 60, 30, False, "more than chance explains"),  # 0.3 points, p = 0.001
        (10000, 0, 60, True, "chance explains"),  # better is never refused
    ],
)
def test_the_int8_rule(n: int, lost: int, gained: int, accepted: bool, reason: str) -> None:
    verdict = verdict_on(n, lost, gained)
    assert verdict.accepted is accepted
    assert re.search(reason, verdict.reason), verdict.reason


def test_the_verdict_tells_its_evidence() -> None:
    verdict = verdict_on(1000, 4, 1)
    assert (verdict.lost, verdict.gained, verdict.images) == (4, 1, 1000)
    assert verdict.float32_accuracy == pytest.approx(0.999)
    assert verdict.int8_accuracy == pytest.approx(0.996)
    assert verdict.p_value == pytest.approx((1 + 5) / 32)  # P(at least 4 of 5 heads)


def test_answers_that_are_not_finite_are_refused() -> None:
    labels = np.arange(300) % 3
    full = answers(np.ones(300, bool), labels)
    broken = full.copy()
    broken[0] = np.nan
    assert not judge(full, broken, labels).accepted


def test_parity() -> None:
    expected = np.array([[0.6, 0.4], [0.2, 0.8]], np.float32)
    found = compare(expected, expected + np.array([[1e-3, -1e-3], [0, 0]], np.float32), "twin")
    assert found.max_difference == pytest.approx(1e-3, rel=1e-3)
    assert found.same_answer == 1
    with pytest.raises(ExportError, match=r"twin: must answer as the Keras model.*0\.003 apart"):
        compare(expected, expected + np.array([[3e-3, -3e-3], [0, 0]], np.float32), "twin")


def test_near_ties_may_fall_either_way_but_seldom() -> None:
    expected = np.full((200, 2), 0.5, np.float32)
    expected[:, 0] += 1e-4
    expected[:, 1] -= 1e-4
    answered = expected.copy()
    answered[:2] = answered[:2, ::-1]
    assert compare(expected, answered, "twin").same_answer == 0.99
    answered[2] = answered[2, ::-1]
    with pytest.raises(ExportError, match=r"98\.5% of 200 the same"):
        compare(expected, answered, "twin")


@pytest.mark.parametrize("answer", [[np.nan, 1.0], [0.7, 0.7], [-0.5, 1.5]])
def test_what_is_no_probability_fails_parity(answer: list[float]) -> None:
    rows = np.array([answer], np.float32)
    with pytest.raises(ExportError, match="must give probabilities that sum to 1"):
        compare(rows, rows, "twin")
