"""One hyperparameter's domain: both ends, the grid, what a value means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ray.errors import SpaceError
from fer_ray.spaces.number import Number
from fer_ray.spaces.parsing import parse_hyperparameter


def parse(class_name, **config):
    return parse_hyperparameter({"class_name": class_name, "config": {"name": "x", **config}}, "space[0]")


def grid(item):
    return [item.value_at(index) for index in range(item.size)]


@pytest.mark.parametrize(
    ("item", "values"),
    [
        (parse("Int", min_value=1, max_value=4), [1, 2, 3, 4]),
        (parse("Int", min_value=6, max_value=13, step=3), [6, 9, 12]),
        (parse("Int", min_value=-4, max_value=4, step=4), [-4, 0, 4]),
        (parse("Int", min_value=7, max_value=7), [7]),
        (parse("Int", min_value=16, max_value=128, step=2, sampling="log"), [16, 32, 64, 128]),
        (parse("Int", min_value=16, max_value=127, step=2, sampling="log"), [16, 32, 64]),
        (parse("Int", min_value=1, max_value=3, sampling="log"), [1, 2, 3]),
        (parse("Int", min_value=1, max_value=100, step=10, sampling="reverse_log"), [100, 91, 1]),
        (parse("Float", min_value=0, max_value=1, step=0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (parse("Float", min_value=0, max_value=0.6, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (parse("Float", min_value=0, max_value=1, step=0.4), [0.0, 0.4, 0.8]),
        (parse("Float", min_value=1e-5, max_value=1e-2, step=10, sampling="log"), [1e-5, 1e-4, 1e-3, 1e-2]),
        (parse("Float", min_value=0.1, max_value=10, step=10, sampling="reverse_log"), [10.0, 9.1, 0.1]),
        (parse("Float", min_value=0.5, max_value=0.5), [0.5]),
        (parse("Choice", values=[True, False]), [1, 0]),
        (parse("Choice", values=["a", "b", "a"]), ["a", "b"]),
        (parse("Boolean"), [False, True]),
        (parse("Fixed", value=3.5), [3.5]),
    ],
)
def test_the_grid_has_both_ends_and_exact_values(item, values):
    assert grid(item) == values
    assert [type(value) for value in grid(item)] == [type(value) for value in values]
    assert [item.index_of(value) for value in values] == list(range(len(values)))


def test_a_step_a_hair_too_long_still_reaches_the_top():
    item = parse("Float", min_value=0, max_value=1, step=0.10000000000000003)
    assert item.size == 11
    assert item.value_at(10) == 1.0


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
def test_a_float_without_a_step_is_continuous(sampling):
    item = parse("Float", min_value=0.1, max_value=0.9, sampling=sampling)
    assert item.size is None
    assert item.canonical(0.123456789) == 0.123456789
    assert item.canonical(math.nextafter(0.9, 1)) == 0.9


@pytest.mark.parametrize(
    ("config", "given", "exact"),
    [
        ({"class_name": "Float", "min_value": 0, "max_value": 1, "step": 0.1}, 0.1 + 0.2, 0.3),
        ({"class_name": "Int", "min_value": 1, "max_value": 9}, 5.0, 5),
        ({"class_name": "Choice", "values": [1, 0]}, True, 1),
        ({"class_name": "Boolean"}, 1, True),
    ],
)
def test_canonical_gives_the_exact_member(config, given, exact):
    found = parse(**config).canonical(given)
    assert found == exact
    assert type(found) is type(exact)


@pytest.mark.parametrize("value", [0, 10, 2.5, "3", None, True, math.nan, math.inf])
def test_a_value_outside_an_int_is_refused_with_its_name_and_the_value(value):
    with pytest.raises(SpaceError) as caught:
        parse("Int", min_value=1, max_value=9).canonical(value)
    assert "Int 'x'" in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [0.05, 0.15, 1.1, -0.1])
def test_a_float_off_its_grid_is_refused(value):
    with pytest.raises(SpaceError, match=r"grid|range"):
        parse("Float", min_value=0, max_value=1, step=0.1).canonical(value)


@given(
    low=st.integers(1, 1000),
    span=st.integers(0, 3000),
    step=st.integers(2, 17),
    sampling=st.sampled_from(["linear", "log", "reverse_log"]),
)
def test_every_place_of_an_integer_grid_is_found_again(low, span, step, sampling):
    item = parse("Int", min_value=low, max_value=low + span, step=step, sampling=sampling)
    values = grid(item)
    assert [item.index_of(value) for value in values] == list(range(len(values)))
    assert all(low <= value <= low + span for value in values)
    assert len(set(values)) == len(values)


@given(
    low=st.integers(1, 500),
    steps=st.integers(1, 60),
    step=st.integers(1, 400),
    scale=st.sampled_from([0.1, 0.01, 0.001, 0.05, 0.25]),
)
def test_a_decimal_range_of_n_steps_has_n_plus_1_values_and_its_top(low, steps, step, scale):
    top = low * scale + steps * (step * scale)  # With the rounding of binary floats, as people write ranges.
    item = parse("Float", min_value=low * scale, max_value=top, step=step * scale)
    assert item.size == steps + 1
    assert math.isclose(item.value_at(steps), top, rel_tol=1e-12)
    assert item.index_of(top) == steps


def test_the_config_is_a_fresh_copy():
    item = parse("Int", min_value=1, max_value=9, default=3)
    assert isinstance(item, Number)
    item.to_config()["config"].clear()
    assert item.to_config()["config"] == {
        "name": "x",
        "conditions": [],
        "default": 3,
        "min_value": 1,
        "max_value": 9,
        "step": 1,
        "sampling": "linear",
    }
