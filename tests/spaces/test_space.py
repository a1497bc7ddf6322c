"""A space: what is active, what is valid, how many configurations, what is the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_ray.errors import SpaceError
from fer_ray.spaces import Space
from fer_ray.spaces.parsing import parse_hyperparameter


def entry(class_name, name, *parents, **config):
    conditions = [{"class_name": "Parent", "config": {"name": n, "values": list(v)}} for n, v in parents]
    return {"class_name": class_name, "config": {"name": name, "conditions": conditions, **config}}


def space_of(*entries):
    return Space.from_config({"space": list(entries), "values": {}})


def configurations(space, values=None):
    """Every configuration, one by one: what `size` must count."""
    values = {} if values is None else values
    item = next(space.chosen(values), None)
    if item is None:
        return [values]
    found = []
    for index in range(item.size):
        found += configurations(space, {**values, item.name: item.value_at(index)})
    return found


NETWORK = space_of(
    entry("Choice", "model", values=["mlp", "cnn", "linear"]),
    entry("Int", "units", ("model", ["mlp"]), min_value=8, max_value=64, step=2, sampling="log"),
    entry("Int", "units", ("model", ["cnn"]), min_value=32, max_value=96, step=32),
    entry("Boolean", "bn", ("model", ["mlp", "cnn"]), default=True),
    entry(
        "Float", "momentum", ("model", ["mlp", "cnn"]), ("bn", [True]), min_value=0.5, max_value=0.9, step=0.1
    ),
    entry("Fixed", "seed", value=3),
)


def test_only_active_hyperparameters_are_kept():
    everything = {"model": "cnn", "units": 64, "bn": False, "momentum": 0.9, "seed": 3, "unknown": 1}
    assert NETWORK.active(everything) == {"model": "cnn", "units": 64, "bn": False, "seed": 3}
    assert NETWORK.active({"units": 64, "momentum": 0.9}) == {}


def test_the_child_of_an_inactive_parent_is_not_active():
    values = {"model": "linear", "bn": True, "momentum": 0.9}
    momentum = next(item for item in NETWORK.hyperparameters if item.name == "momentum")
    assert not NETWORK.is_active(momentum, values)
    assert NETWORK.is_active(momentum, {"model": "mlp", "bn": True})


def test_the_first_active_of_a_name_takes_the_place():
    space = space_of(
        entry("Boolean", "a"),
        entry("Int", "u", ("a", [True]), min_value=1, max_value=3),
        entry("Int", "u", min_value=50, max_value=60),
    )
    assert space.check({"a": True, "u": 2}) == {"a": True, "u": 2}
    assert space.check({"a": False, "u": 55}) == {"a": False, "u": 55}
    with pytest.raises(SpaceError):
        space.check({"a": True, "u": 55})
    assert space.size == 3 + 11


def test_complete_fills_in_defaults_of_active_ones_only():
    defaults = {"model": "mlp", "units": 8, "bn": True, "momentum": 0.5, "seed": 3}
    assert NETWORK.complete({}) == defaults
    assert NETWORK.complete({"model": "linear", "bn": True}) == {"model": "linear", "seed": 3}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "rnn"}, "Choice 'model'.*'rnn'"),
        ({"model": "mlp", "units": 9}, "Int 'units'.*grid 8 to 64, times 2.*9"),
        ({"model": "mlp", "units": 8}, "Boolean 'bn': it is active and must have a value"),
        ({"model": "linear", "seed": 3, "units": 8}, "'units': it is not active"),
        ({"model": "linear", "seed": 3, "lr": 8}, "'lr': the space has no such name"),
        ({"model": "linear", "seed": 4}, "Fixed 'seed'.*must be one of"),
    ],
)
def test_check_names_the_hyperparameter_the_rule_and_the_value(values, said):
    with pytest.raises(SpaceError, match=said):
        NETWORK.check(values)


def test_the_key_is_of_the_active_values_alone_and_of_what_they_mean():
    base = {"model": "mlp", "units": 8, "bn": True, "momentum": 0.7, "seed": 3}
    key = NETWORK.configuration_key(base)
    assert len(key) == 64
    assert NETWORK.configuration_key({**dict(reversed(base.items())), "units": 8.0}) == key
    assert NETWORK.configuration_key({**base, "momentum": 0.1 + 0.6, "forgotten": 1}) == key
    assert NETWORK.configuration_key({**base, "momentum": 0.8}) != key


def test_the_size_counts_conditions():
    assert NETWORK.size == 4 * (5 + 1) + 3 * (5 + 1) + 1 == len(configurations(NETWORK))


def test_a_range_without_a_step_is_infinite_only_where_it_is_reached():
    continuous = entry("Float", "x", ("a", [5]), min_value=0, max_value=1)
    assert space_of(entry("Int", "a", min_value=1, max_value=5), continuous).size is None
    assert space_of(entry("Int", "a", min_value=1, max_value=4), continuous).size == 4


def test_a_large_space_is_counted_without_listing_it():
    pairs = []
    for number in range(40):
        pairs.append(entry("Boolean", f"use{number}"))
        pairs.append(entry("Int", f"n{number}", (f"use{number}", [True]), min_value=1, max_value=1000))
    assert space_of(*pairs).size == 1001**40


def test_discovered_hyperparameters_come_to_the_end_and_the_first_definition_stays():
    old = space_of(entry("Boolean", "a"), entry("Int", "n", min_value=1, max_value=5))
    found = space_of(
        entry("Boolean", "a"),
        entry("Int", "n", min_value=1, max_value=9),
        entry("Int", "m", ("a", [True]), min_value=1, max_value=2),
    )
    merged = old.merge(found)
    assert [item.name for item in merged.hyperparameters] == ["a", "n", "m"]
    assert merged.hyperparameters[1].size == 5
    assert [item.name for item in old.conflicts(found)] == ["n"]
    assert old.merge(old) == old


def test_a_parent_must_be_decided_before_its_child():
    outer = entry("Boolean", "a")
    parent = entry("Boolean", "b", ("a", [True]))
    with pytest.raises(SpaceError, match="under conditions that its child has too"):
        space_of(outer, parent, entry("Boolean", "c", ("b", [True])))
    assert space_of(outer, parent, entry("Boolean", "c", ("a", [True]), ("b", [True]))).size == 1 + 1 + 2


def test_a_discovered_child_needs_its_parent():
    parent, child = entry("Boolean", "a"), entry("Boolean", "b", ("a", [True]))
    orphan = Space(space_of(parent, child).hyperparameters[1:])
    with pytest.raises(SpaceError, match="registered earlier"):
        space_of(entry("Boolean", "c")).merge(orphan)


@st.composite
def finite_spaces(draw):
    """Small spaces with repeated names, nested conditions and values that never occur."""
    space = space_of()
    for _ in range(draw(st.integers(1, 7))):
        name = draw(st.sampled_from("abcd"))
        item = draw(st.sampled_from([None, *space.hyperparameters]))
        parents = []
        while item is not None and len(parents) < 3 and item.name != name:
            outer = [(condition.name, condition.values) for condition in item.conditions]
            inner = (item.name, draw(st.lists(st.sampled_from([1, 2, 3, 4, True]), min_size=1, max_size=3)))
            parents += [*(one for one in outer if one not in parents), inner]
            item = draw(st.sampled_from([None, *space.hyperparameters]))
        if all(parent != name for parent, _ in parents):
            one = entry("Int", name, *parents, min_value=1, max_value=draw(st.integers(1, 4)))
            space = space.merge(Space((*space.hyperparameters, parse_hyperparameter(one, "one"))))
    return space


@settings(max_examples=300, deadline=None)
@given(finite_spaces())
def test_the_size_is_what_listing_finds(space):
    listed = configurations(space)
    assert space.size == len(listed)
    assert len({space.configuration_key(values) for values in listed}) == len(listed)
    assert all(space.check(values) == values == space.active(values) for values in listed)
