"""Malformed JSON gets one clear error that names the hyperparameter, the rule and the value."""

import pytest

from fer_ray.errors import SpaceError
from fer_ray.spaces import Space

PARENT = {"class_name": "Parent", "config": {"name": "x", "values": [1]}}


def entry(class_name, **config):
    return {"class_name": class_name, "config": {"name": "x", **config}}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("Int", "must be a JSON object"),
        ({"config": {}}, "'class_name' is missing"),
        ({"class_name": "Int"}, "'config' is missing"),
        ({"class_name": "Integer", "config": {}}, "class_name must be one of"),
        ({"class_name": "Int", "config": {"min_value": 1}}, "'name' is missing"),
        (entry("Int", name=7), "name must be a text"),
        (entry("Int", min_value=1), "'max_value' is missing"),
        (entry("Int", min_value=1.5, max_value=2), "min_value must be an integer"),
        (entry("Int", min_value=True, max_value=2), "min_value must be a finite number"),
        (entry("Float", min_value=0, max_value=float("inf")), "max_value must be a finite number"),
        (entry("Float", min_value="0", max_value=1), "min_value must be a finite number"),
        (entry("Int", min_value=64, max_value=32), "min_value must be <= max_value"),
        (entry("Int", min_value=1, max_value=2, sampling="lin"), "sampling must be one of"),
        (entry("Float", min_value=0, max_value=1, sampling="log"), "min_value must be > 0"),
        (entry("Int", min_value=1, max_value=8, step=1, sampling="log"), "step must be > 1"),
        (entry("Float", min_value=0, max_value=8, step=0), "step must be > 0"),
        (entry("Choice", values=[]), "values must be a list"),
        (entry("Choice", values="ab"), "values must be a list"),
        (entry("Choice", values=[1, "a"]), "one type"),
        (entry("Choice", values=[1, 1.0]), "one type"),
        (entry("Choice", values=[None]), "values must be a list of texts"),
        (entry("Choice", values=[float("nan")]), "finite"),
        (entry("Choice", values=["a"], ordered=True), "ordered must be false"),
        (entry("Choice", values=["a"], default="b"), "default must be one of"),
        (entry("Boolean", default="yes"), "default must be true or false"),
        (entry("Fixed", value=None), "value must be a text"),
        (entry("Fixed"), "'value' is missing"),
        (entry("Boolean", conditions=[{"class_name": "Not", "config": {}}]), "must be of class Parent"),
        (entry("Boolean", conditions=[PARENT]), "the same name as its parent"),
        ({"class_name": "Boolean", "config": {"name": "y", "conditions": [PARENT]}}, "registered earlier"),
    ],
)
def test_each_broken_entry_has_its_own_sentence(broken, said):
    with pytest.raises(SpaceError, match=said):
        Space.from_config({"space": [broken], "values": {}})


@pytest.mark.parametrize("broken", [None, [], {}, {"space": None}])
def test_what_is_no_space_is_refused(broken):
    with pytest.raises(SpaceError, match="must have a list under 'space'"):
        Space.from_config(broken)


def test_the_message_names_the_hyperparameter_the_rule_and_the_value():
    broken = {"class_name": "Int", "config": {"name": "units", "min_value": 64, "max_value": 32}}
    with pytest.raises(SpaceError) as caught:
        Space.from_config({"space": [broken]})
    message = "Int 'units': min_value must be <= max_value. Received: min_value=64, max_value=32."
    assert str(caught.value) == message


def test_a_repeated_definition_is_dropped_and_a_contradicting_one_refused():
    first, other = entry("Int", min_value=1, max_value=2), entry("Int", min_value=1, max_value=3)
    assert len(Space.from_config({"space": [first, first]}).hyperparameters) == 1
    with pytest.raises(SpaceError, match="defined twice"):
        Space.from_config({"space": [first, other]})
