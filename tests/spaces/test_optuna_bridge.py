"""A space through an Optuna trial and back."""

import math
import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fer_ray.errors import SpaceError, UnsupportedSpaceError
from fer_ray.spaces import Space
from fer_ray.spaces.optuna_bridge import parameters, params_of, suggest, values_of
from fer_ray.spaces.parsing import parse_hyperparameter
from fer_ray.spaces.samplers import make_sampler


def entry(class_name, name, *parents, **config):
    conditions = [{"class_name": "Parent", "config": {"name": n, "values": list(v)}} for n, v in parents]
    return {"class_name": class_name, "config": {"name": name, "conditions": conditions, **config}}


def space_of(*entries):
    return Space.from_config({"space": list(entries), "values": {}})


def new_study(sampler=None):
    return optuna.create_study(sampler=sampler or optuna.samplers.RandomSampler(seed=0))


INT = {"class_name": "Int", "name": "x"}
FLOAT = {"class_name": "Float", "name": "x"}
CHOICE = {"class_name": "Choice", "name": "x"}


@pytest.mark.parametrize(
    ("config", "key", "distribution"),
    [
        ({**INT, "min_value": 1, "max_value": 8}, "x", IntDistribution(1, 8)),
        ({**INT, "min_value": 6, "max_value": 13, "step": 3}, "x", IntDistribution(6, 12, step=3)),
        ({**INT, "min_value": 1, "max_value": 9, "sampling": "log"}, "x", IntDistribution(1, 9, log=True)),
        (
            {**INT, "min_value": 1, "max_value": 9, "sampling": "reverse_log"},
            "x[mirrored]",
            IntDistribution(1, 9, log=True),
        ),
        (
            {**INT, "min_value": 16, "max_value": 128, "step": 2, "sampling": "log"},
            "x[index]",
            IntDistribution(0, 3),
        ),
        ({**FLOAT, "min_value": 0, "max_value": 1}, "x", FloatDistribution(0, 1)),
        (
            {**FLOAT, "min_value": 1e-4, "max_value": 1, "sampling": "log"},
            "x",
            FloatDistribution(1e-4, 1, log=True),
        ),
        (
            {**FLOAT, "min_value": 0.01, "max_value": 1, "sampling": "reverse_log"},
            "x[mirrored]",
            FloatDistribution(0.01, 1, log=True),
        ),
        ({**FLOAT, "min_value": 0, "max_value": 1, "step": 0.1}, "x", FloatDistribution(0, 1, step=0.1)),
        ({**FLOAT, "min_value": 0, "max_value": 1, "step": 0.4}, "x", FloatDistribution(0, 0.8, step=0.4)),
        (
            {**FLOAT, "min_value": 0, "max_value": 1, "step": 0.10000000000000003},
            "x[index]",
            IntDistribution(0, 10),
        ),
        (
            {**FLOAT, "min_value": 1e-3, "max_value": 1, "step": 10, "sampling": "reverse_log"},
            "x[index]",
            IntDistribution(0, 3),
        ),
        ({**CHOICE, "values": [32, 64, 96]}, "x", IntDistribution(32, 96, step=32)),
        ({**CHOICE, "values": [0.1, 0.2, 0.3]}, "x", FloatDistribution(0.1, 0.3, step=0.1)),
        ({**CHOICE, "values": [16, 32, 64]}, "x[index]", IntDistribution(0, 2)),
        ({**CHOICE, "values": [3, 2, 1]}, "x[index]", IntDistribution(0, 2)),
        ({**CHOICE, "values": [3, 1, 2], "ordered": False}, "x", CategoricalDistribution((3, 1, 2))),
        ({**CHOICE, "values": ["adam", "sgd"]}, "x", CategoricalDistribution(("adam", "sgd"))),
        ({"class_name": "Boolean", "name": "x"}, "x", CategoricalDistribution((False, True))),
    ],
)
def test_each_domain_has_its_distribution_and_every_value_goes_there_and_back(config, key, distribution):
    class_name = config.pop("class_name")
    space = space_of(entry(class_name, **config))
    item, (parameter,) = space.hyperparameters[0], parameters(space).values()
    assert (parameter.key, parameter.distribution) == (key, distribution)
    ends = [item.min_value, item.max_value] if item.size is None else []
    for value in ends or [item.value_at(index) for index in range(item.size)]:
        params, distributions = params_of(space, {"x": value})
        assert distributions == {key: distribution}
        assert distribution._contains(distribution.to_internal_repr(params[key]))
        assert values_of(space, params) == {"x": value}
        assert type(values_of(space, params)["x"]) is type(value)


@pytest.mark.parametrize(
    "config",
    [
        {**INT, "min_value": 1, "max_value": 7},
        {**INT, "min_value": 1, "max_value": 7, "sampling": "log"},
        {**INT, "min_value": 1, "max_value": 7, "sampling": "reverse_log"},
        {**INT, "min_value": 2, "max_value": 32, "step": 2, "sampling": "log"},
        {**FLOAT, "min_value": 0, "max_value": 0.6, "step": 0.1},
        {**CHOICE, "values": [16, 32, 64]},
    ],
)
def test_a_random_study_reaches_every_value_and_both_ends(config):
    class_name = config.pop("class_name")
    space, study = space_of(entry(class_name, **config)), new_study()
    found = {suggest(space, study.ask())["x"] for _ in range(300)}
    item = space.hyperparameters[0]
    assert found == {item.value_at(index) for index in range(item.size)}


def test_reverse_log_without_a_step_has_keras_tuners_law():
    # Keras Tuner: value = max + min - min * (max / min) ** (1 - p); the median is at p = 1/2.
    space, study = (
        space_of(entry("Float", "x", min_value=0.01, max_value=1, sampling="reverse_log")),
        new_study(),
    )
    found = sorted(suggest(space, study.ask())["x"] for _ in range(2000))
    for quantile in (0.25, 0.5, 0.75):
        expected = 1.01 - 0.01 * 100 ** (1 - quantile)
        share = sum(value <= expected for value in found) / len(found)
        assert share == pytest.approx(quantile, abs=0.04)


NETWORK = space_of(
    entry("Choice", "model", values=["mlp", "cnn", "linear"]),
    entry("Int", "units", ("model", ["mlp"]), min_value=8, max_value=64, step=2, sampling="log"),
    entry("Int", "units", ("model", ["cnn"]), min_value=32, max_value=96, step=32),
    entry("Float", "rate", min_value=1e-4, max_value=1e-1, sampling="log"),
    entry("Fixed", "seed", value=3),
    entry("Choice", "only", values=["one"]),
)


def test_the_same_name_under_other_conditions_is_another_parameter():
    keys = [parameter.key for parameter in parameters(NETWORK).values()]
    assert keys[:2] == ["model", "units[index]"]
    assert keys[2].startswith("units#") and len(keys[2]) == len("units#") + 8
    assert keys[3:] == ["rate"]


def test_keys_stay_as_they_are_when_a_space_grows():
    grown = NETWORK.merge(
        space_of(entry("Boolean", "model"), entry("Float", "rate", min_value=0, max_value=1))
    )
    more = NETWORK.merge(
        space_of(entry("Boolean", "b"), entry("Int", "rate", ("b", [True]), min_value=1, max_value=2))
    )
    before = [parameter.key for parameter in parameters(NETWORK).values()]
    assert [parameter.key for parameter in parameters(grown).values()] == before
    after = [parameter.key for parameter in parameters(more).values()]
    assert after[: len(before)] == before
    assert len(set(after)) == len(before) + 2


def test_a_name_that_looks_like_a_key_does_not_collide():
    space = space_of(
        entry("Choice", "x", values=[1, 2, 4]), entry("Int", "x[index]", min_value=0, max_value=2)
    )
    first, second = (parameter.key for parameter in parameters(space).values())
    assert first == "x[index]"
    assert second.startswith("x[index]#")


def test_inactive_hyperparameters_are_never_asked_and_single_values_have_no_parameter():
    study = new_study()
    for _ in range(50):
        trial = study.ask()
        values = suggest(NETWORK, trial)
        assert values["seed"] == 3 and values["only"] == "one"
        assert ("units" in values) == (values["model"] != "linear")
        assert len(trial.params) == len(values) - 2


def test_an_enqueued_configuration_comes_out_of_suggest():
    study, wanted = new_study(), {"model": "cnn", "units": 96, "rate": 0.01, "seed": 3, "only": "one"}
    study.enqueue_trial(params_of(NETWORK, wanted)[0])
    assert suggest(NETWORK, study.ask()) == wanted


def test_a_known_result_can_be_added_and_informs_the_sampler():
    study = new_study(make_sampler("tpe", NETWORK, 0, n_startup_trials=1, multivariate=True))
    values = {"model": "mlp", "units": 16, "rate": 0.01, "seed": 3, "only": "one"}
    params, distributions = params_of(NETWORK, values)
    study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=1.0))
    assert values_of(NETWORK, study.trials[0].params) == values
    assert set(study.sampler.infer_relative_search_space(study, study.trials[0])) == set(params)


def test_an_enqueued_value_outside_its_domain_is_refused():
    study = new_study()
    study.enqueue_trial({"model": "cnn", "rate": 5.0})
    with (
        pytest.warns(UserWarning, match="out of range"),
        pytest.raises(SpaceError, match=r"Float 'rate'.*5\.0"),
    ):
        suggest(NETWORK, study.ask())


@pytest.mark.parametrize("stored", [-1, 4, True, "0"])
def test_an_index_outside_the_grid_is_refused(stored):
    params = {"model": "mlp", "units[index]": stored, "rate": 0.01}
    with pytest.raises(SpaceError, match="an index must be in 0 to 3"):
        values_of(NETWORK, params)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"model": "linear"}, "'rate': an active hyperparameter must have a parameter"),
        ({"model": "linear", "rate": 0.01, "units[index]": 1}, "must belong to an active"),
    ],
)
def test_parameters_of_another_space_are_refused(params, said):
    with pytest.raises(SpaceError, match=said):
        values_of(NETWORK, params)


def test_integers_that_optuna_cannot_keep_are_refused():
    space = space_of(entry("Int", "x", min_value=0, max_value=2**53 + 2))
    with pytest.raises(UnsupportedSpaceError, match="Int 'x'"):
        parameters(space)


def test_ranges_never_make_optuna_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameters(space_of(entry("Float", "x", min_value=0, max_value=1, step=0.3)))
        parameters(space_of(entry("Int", "x", min_value=0, max_value=10, step=3)))


def test_values_survive_a_file_and_a_database(tmp_path):
    space = space_of(
        entry("Boolean", "b"),
        entry("Choice", "c", values=[0.1, 0.25, 3.0], ordered=False),
        entry("Float", "f", min_value=0, max_value=1, step=0.1),
        entry("Choice", "n", values=[True, False]),
    )
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    for storage in (optuna.storages.JournalStorage(backend), f"sqlite:///{tmp_path}/study.db"):
        study = optuna.create_study(
            storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler(seed=1)
        )
        told = []
        for _ in range(20):
            trial = study.ask()
            told.append(suggest(space, trial))
            study.tell(trial, 0.0)
        again = optuna.load_study(storage=storage, study_name="s")
        read = [values_of(space, trial.params) for trial in again.trials]
        assert repr(read) == repr(told)


@st.composite
def hyperparameter_configs(draw):
    kind = draw(st.sampled_from(["Int", "Float", "Choice", "Boolean", "Fixed"]))
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    if kind == "Int":
        low = draw(st.integers(1, 50))
        step = draw(st.none() | st.integers(2, 9))
        return kind, {
            "min_value": low,
            "max_value": low + draw(st.integers(0, 200)),
            "step": step,
            "sampling": sampling,
        }
    if kind == "Float":
        low, top = sorted(draw(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=2)))
        step = None
        if draw(st.booleans()):
            step = draw(st.floats(1.5, 10)) if sampling != "linear" else max((top - low) / 7.3, 1e-3)
        return kind, {"min_value": low, "max_value": top, "step": step, "sampling": sampling}
    if kind == "Choice":
        pool = draw(st.sampled_from([[1, 2, 3], [1, 2, 4], [0.1, 0.2, 0.7], ["a", "b", "c"], [True, False]]))
        return kind, {"values": pool[: draw(st.integers(1, 3))]}
    return kind, {"value": draw(st.sampled_from([1, 0.5, "s", True]))} if kind == "Fixed" else {}


@st.composite
def spaces(draw):
    """Spaces with every class of hyperparameter, nested conditions and repeated names."""
    space = space_of()
    for _ in range(draw(st.integers(1, 7))):
        kind, config = draw(hyperparameter_configs())
        name = draw(st.sampled_from(["a", "b", "c", "d/e"]))
        conditions = []
        for parent in draw(st.lists(st.sampled_from([*space.hyperparameters, None]), max_size=2)):
            if parent and parent.size:
                places = draw(st.lists(st.integers(0, min(parent.size, 5) - 1), min_size=1, max_size=3))
                conditions += [(condition.name, condition.values) for condition in parent.conditions]
                conditions.append((parent.name, [parent.value_at(place) for place in places]))
        if any(other == name for other, _ in conditions):
            continue
        one = parse_hyperparameter(entry(kind, name, *conditions, **config), "space[0]")
        space = space.merge(Space((*space.hyperparameters, one)))
    return space


@settings(max_examples=150, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_suggestions_are_valid_active_and_go_back_to_their_parameters(space, seed):
    study = new_study(optuna.samplers.RandomSampler(seed=seed))
    for _ in range(3):
        trial = study.ask()
        values = suggest(space, trial)
        assert space.check(values) == values == space.active(values)
        assert values_of(space, trial.params) == values
        params, distributions = params_of(space, values)
        assert distributions == trial.distributions
        assert list(params) == list(trial.params)
        for key, stored in trial.params.items():
            same = math.isclose(stored, params[key], rel_tol=1e-9) if isinstance(stored, float) else None
            assert same or stored == params[key]
        study.tell(trial, 0.0)
