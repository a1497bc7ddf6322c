"""The parsed space against Keras Tuner itself."""

import json
import math
import random

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_ray.spaces import Space
from fer_ray.spaces.optuna_bridge import suggest

pytestmark = pytest.mark.keras


def through_json(hyperparameters):
    """The JSON that crosses from a worker to the driver."""
    return json.loads(json.dumps(hyperparameters.get_config()))


def one(keras_tuner, method, **arguments):
    """A hyperparameter of Keras Tuner and ours for the same definition."""
    hyperparameters = keras_tuner.HyperParameters()
    getattr(hyperparameters, method)("x", **arguments)
    return hyperparameters.space[0], Space.from_config(through_json(hyperparameters)).hyperparameters[0]


def grid(item):
    return [item.value_at(index) for index in range(item.size)]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("Int", {"min_value": 1, "max_value": 9}),
        ("Int", {"min_value": -3, "max_value": 11, "step": 4}),
        ("Int", {"min_value": 6, "max_value": 13, "step": 3}),
        ("Int", {"min_value": 16, "max_value": 128, "step": 2, "sampling": "log"}),
        ("Int", {"min_value": 3, "max_value": 1000, "step": 7, "sampling": "log"}),
        ("Int", {"min_value": 1, "max_value": 100, "step": 10, "sampling": "reverse_log"}),
        ("Int", {"min_value": 5, "max_value": 5}),
        ("Float", {"min_value": 0, "max_value": 1, "step": 0.25}),
        ("Float", {"min_value": 1e-5, "max_value": 1e-1, "step": 10, "sampling": "log"}),
        ("Float", {"min_value": 1e-3, "max_value": 10, "step": 10, "sampling": "reverse_log"}),
        ("Float", {"min_value": 0.5, "max_value": 100, "step": 3, "sampling": "LOG"}),
        ("Choice", {"values": [16, 32, 64]}),
        ("Choice", {"values": [0.1, 0.5]}),
        ("Choice", {"values": ["a", "b"]}),
        ("Choice", {"values": [True, False]}),
        ("Choice", {"values": [3, 1], "ordered": False, "default": 1}),
        ("Fixed", {"value": True}),
        ("Fixed", {"value": 2.5}),
    ],
)
def test_grids_are_keras_tuners(keras_tuner, method, arguments):
    theirs, ours = one(keras_tuner, method, **arguments)
    cast = int if method == "Int" else lambda value: value  # Its Int grids are floats under log.
    expected = [cast(value) for value in theirs.values]
    assert grid(ours) == (expected if method != "Float" else pytest.approx(expected, rel=1e-12))
    assert ours.first_value == theirs.default
    assert type(ours.first_value) is type(theirs.default)


def test_booleans_have_both_values(keras_tuner):
    theirs, ours = one(keras_tuner, "Boolean", default=True)
    assert sorted(grid(ours)) == sorted(theirs.values)
    assert ours.first_value is theirs.default is True


@pytest.mark.parametrize(
    ("top", "step", "theirs_miss", "corrected"),
    [(1, 0.1, 1.0, 11), (1, 0.2, 1.0, 6), (0.6, 0.2, 0.6, 4), (0.7, 0.1, 0.7, 8)],
)
def test_a_top_that_keras_tuner_loses_to_rounding_is_there(keras_tuner, top, step, theirs_miss, corrected):
    # Corrected on purpose: 1.0 // 0.1 is 9, so Keras Tuner 1.4.8 never tries the documented maximum.
    theirs, ours = one(keras_tuner, "Float", min_value=0, max_value=top, step=step)
    expected = list(theirs.values)
    assert len(expected) == corrected - 1
    assert grid(ours)[:-1] == pytest.approx(expected)
    assert grid(ours)[-1] == theirs_miss


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
def test_an_int_without_a_step_has_all_that_keras_tuner_samples_and_both_ends(keras_tuner, sampling):
    theirs, ours = one(keras_tuner, "Int", min_value=2, max_value=12, sampling=sampling)
    sampled = {theirs.prob_to_value(place / 5000) for place in range(5000)}
    assert set(grid(ours)) == sampled == set(range(2, 13))


def build_network(hp):
    """A space with nested conditions, one name under two conditions, name scopes, and a bool choice."""
    hp.Choice("model", ["mlp", "cnn", "linear"])
    bias = hp.Choice("bias", [True, False])
    with hp.conditional_scope("bias", [True]):
        if bias:
            hp.Float("bias_scale", 0.01, 1, sampling="reverse_log")
    for kind in ("mlp", "cnn"):
        with hp.conditional_scope("model", [kind]), hp.name_scope(kind):
            hp.Int("layers", 1, 3)
    for number in range(1, 4):
        deep_enough = list(range(number, 4))
        with hp.conditional_scope("model", "mlp"), hp.conditional_scope("mlp/layers", deep_enough):
            hp.Int(f"units{number}", 8, 64, step=2, sampling="log")
    with hp.conditional_scope("model", ["mlp"]):
        hp.Int("width", 1, 5)
    with hp.conditional_scope("model", ["cnn"]):
        hp.Int("width", 50, 60, step=5)
    hp.Boolean("augment", parent_name="model", parent_values=["cnn", "mlp"])
    hp.Fixed("classes", 7)


@pytest.fixture(scope="module")
def network(keras_tuner):
    hyperparameters = keras_tuner.HyperParameters()
    build_network(hyperparameters)
    return hyperparameters


def test_the_json_goes_there_and_back_unchanged(keras_tuner, network):
    config = through_json(network)
    space = Space.from_config(config)
    again = space.to_config(config["values"])
    assert through_json(keras_tuner.HyperParameters.from_config(again)) == config
    assert space.to_config(config["values"]) == config  # Keras Tuner changed its copy, not the space.


def test_activity_is_keras_tuners_for_every_suggestion(keras_tuner, network):
    space = Space.from_config(through_json(network))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    kinds = set()
    for _ in range(200):
        values = suggest(space, study.ask())
        kinds.add(values["model"])
        theirs = keras_tuner.HyperParameters.from_config(space.to_config(values))
        assert theirs.values == values
        for ours, their in zip(space.hyperparameters, theirs.space, strict=True):
            assert space.is_active(ours, values) == theirs.is_active(their)
        built = theirs.copy()
        build_network(built)  # The build finds every value it asks for and adds none.
        assert built.values == values
        assert len(built.space) == len(theirs.space)
    assert kinds == {"mlp", "cnn", "linear"}


def test_active_drops_what_ensure_active_values_drops(keras_tuner):
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Boolean("a")
    with hyperparameters.conditional_scope("a", [True]):
        hyperparameters.Int("b", 1, 3)
        with hyperparameters.conditional_scope("b", [1, 2]):
            hyperparameters.Int("c", 1, 3)
    space = Space.from_config(through_json(hyperparameters))
    chance = random.Random(0)
    for _ in range(50):
        values = {"a": chance.random() < 0.5, "b": chance.randint(1, 3), "c": chance.randint(1, 3)}
        theirs = keras_tuner.HyperParameters.from_config(space.to_config({}))
        theirs.values = dict(values)
        theirs.ensure_active_values()
        assert space.active(values) == theirs.values


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.integers(1, 100),
    span=st.integers(0, 5000),
    step=st.integers(2, 12),
    sampling=st.sampled_from(["linear", "log", "reverse_log"]),
)
def test_any_stepped_int_has_keras_tuners_grid(keras_tuner, low, span, step, sampling):
    theirs, ours = one(keras_tuner, "Int", min_value=low, max_value=low + span, step=step, sampling=sampling)
    assert grid(ours) == [int(value) for value in theirs.values]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.floats(1e-3, 10),
    ratio=st.floats(1.01, 1e4),
    step=st.floats(1.1, 20),
    sampling=st.sampled_from(["log", "reverse_log"]),
)
def test_any_stepped_log_float_has_keras_tuners_grid(keras_tuner, low, ratio, step, sampling):
    theirs, ours = one(
        keras_tuner, "Float", min_value=low, max_value=low * ratio, step=step, sampling=sampling
    )
    for our, their in zip(grid(ours), list(theirs.values), strict=True):
        assert math.isclose(our, their, rel_tol=1e-7)
