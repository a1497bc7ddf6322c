"""What each sampler is said to do with a hyperparameter, held against real studies."""

import json
import math
import warnings

import optuna
import pytest

from fer_ray.errors import ConfigError, UnsupportedSpaceError
from fer_ray.spaces import Space
from fer_ray.spaces.optuna_bridge import parameters, suggest
from fer_ray.spaces.samplers import make_sampler, modelled


def entry(class_name, name, *parents, **config):
    conditions = [{"class_name": "Parent", "config": {"name": n, "values": list(v)}} for n, v in parents]
    return {"class_name": class_name, "config": {"name": name, "conditions": conditions, **config}}


def space_of(*entries):
    return Space.from_config({"space": list(entries), "values": {}})


RATE = entry("Float", "rate", min_value=1e-4, max_value=1e-1, sampling="log")
FINITE = (
    entry("Choice", "optimizer", values=["adam", "sgd"]),
    entry("Float", "momentum", ("optimizer", ["sgd"]), min_value=0.0, max_value=0.9, step=0.1),
    entry("Choice", "batch", values=[16, 32, 64]),
    entry("Int", "depth", min_value=1, max_value=3, sampling="log"),
    entry("Fixed", "seed", value=1),
    entry("Int", "width", ("seed", [1]), min_value=1, max_value=4),
)
MIXED = space_of(*FINITE, RATE)


def score(values):
    """Best at high rate, depth, momentum, batch; low without momentum."""
    return values["rate"] * 10 + values["depth"] + values.get("momentum", 0) + values["batch"] / 64


def run(sampler, space, trials, score=score, pruned=False):
    """A study by ask and tell; with `pruned`, two of three trials stop early."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(trials):
        trial = study.ask()
        values = suggest(space, trial)
        trial.set_user_attr("values", values)
        value = score(values)
        if pruned and number % 3:
            trial.report(value / 2, step=1)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
    return study


def keys_of(space, label):
    """The parameter of a label."""
    asked = parameters(space)
    return next(parameter.key for parameter in asked.values() if parameter.hyperparameter.name == label)


def test_the_treatments_by_sampler():
    assert modelled("tpe", MIXED) == {
        "optimizer": "modelled",
        "momentum": "modelled among the trials that have it",
        "batch": "modelled",
        "depth": "modelled",
        "seed": "fixed",
        "width": "modelled",
        "rate": "modelled",
    }
    assert modelled("cmaes", MIXED) == {
        "optimizer": "random",
        "momentum": "random",
        "batch": "modelled",
        "depth": "modelled",
        "seed": "fixed",
        "width": "modelled",
        "rate": "modelled",
    }
    assert modelled("qmc", MIXED) == modelled("cmaes", MIXED)
    assert modelled("gp", MIXED) == {**modelled("cmaes", MIXED), "optimizer": "modelled"}
    assert set(modelled("random", MIXED).values()) == {"random", "fixed"}
    assert set(modelled("grid", space_of(*FINITE)).values()) == {"enumerated", "fixed"}


HEIGHTS = {
    "optimizer": lambda value: float(value == "sgd"),
    "momentum": lambda value: value / 0.9,
    "batch": lambda value: value / 64,
    "depth": lambda value: value / 3,
    "width": lambda value: value / 4,
    "rate": lambda value: 1 + math.log10(value / 0.1) / 3,
}


@pytest.mark.parametrize("name", HEIGHTS)
def test_tpe_models_every_parameter_also_the_conditional_ones(name):
    def height(values):
        return HEIGHTS[name](values[name]) if name in values else 0.0

    def mean(trials):
        return sum(height(trial.user_attrs["values"]) for trial in trials) / len(trials)

    def trained(sampler):
        return run(make_sampler(sampler, MIXED, seed=1), MIXED, 60, score=height).trials

    assert mean(trained("tpe")[30:]) > mean(trained("random")) + 0.15


def test_tpe_models_jointly_what_is_active_together_if_asked_to():
    sampler = make_sampler("tpe", MIXED, seed=0, n_startup_trials=8, multivariate=True)
    study = run(sampler, MIXED, 20, pruned=True)
    last = study.trials[-1].system_attrs
    together = json.loads(
        "".join(value for key, value in sorted(last.items()) if key.startswith("tpe:relative"))
    )
    treated = modelled("tpe", MIXED)
    assert set(together) == {keys_of(MIXED, name) for name, how in treated.items() if how != "fixed"}


def test_tpe_is_random_before_its_start_and_not_after():
    sampler = make_sampler("tpe", MIXED, seed=0, n_startup_trials=5, multivariate=True)
    study = run(sampler, MIXED, 12)
    guided = [number for number, trial in enumerate(study.trials) if trial.system_attrs]
    assert guided == list(range(5, 12))


def test_tpe_finds_the_better_branch_and_the_better_values_in_it():
    study = run(make_sampler("tpe", MIXED, 3), MIXED, 60, lambda values: values.get("momentum", -0.5))
    late = study.trials[30:]
    branch = [trial for trial in late if trial.params["optimizer"] == "sgd"]
    assert len(branch) > 20
    assert sum(trial.params["momentum"] for trial in branch) / len(branch) > 0.65  # 0.45 by chance


def test_cmaes_models_exactly_what_it_is_said_to():
    sampler = make_sampler("cmaes", MIXED, seed=0)
    study = run(sampler, MIXED, 40)
    space = sampler.infer_relative_search_space(study, study.trials[-1])
    treated = modelled("cmaes", MIXED)
    assert set(space) == {keys_of(MIXED, name) for name, how in treated.items() if how == "modelled"}


def test_qmc_covers_what_it_models_more_evenly_than_chance_and_goes_on_after_a_restart():
    space = space_of(*FINITE, RATE, entry("Float", "decay", min_value=0.0, max_value=1.0))
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", sampler=make_sampler("qmc", space, 1))
    first = [suggest(space, study.ask())["decay"] for _ in range(8)]
    again = optuna.load_study(storage=storage, study_name="study", sampler=make_sampler("qmc", space, 1))
    drawn = first + [suggest(space, again.ask())["decay"] for _ in range(8)]
    # Sobol': of 16 points one lies in each sixteenth.
    assert sorted(int(value * 16) for value in drawn) == list(range(16))


def test_gp_without_its_package_says_what_to_install():
    with pytest.raises(ConfigError, match=r"needs PyTorch.*Install fer-ray\[gp\]"):
        make_sampler("gp", MIXED, 0)


def test_cmaes_goes_on_when_a_conditional_parameter_first_misses_after_a_generation():
    def conditional_missing_once(sampler):
        study = optuna.create_study(sampler=sampler)
        for number in range(40):
            trial = study.ask()
            total = trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)
            total += 0 if number == 20 else trial.suggest_float("z", 0, 1)
            study.tell(trial, total)
        return [trial.number for trial in study.trials if "cma:generation" in trial.system_attrs]

    space = space_of(
        entry("Float", "x", min_value=0, max_value=1),
        entry("Float", "y", min_value=0, max_value=1),
        entry("Boolean", "on"),
        entry("Float", "z", ("on", [True]), min_value=0, max_value=1),
    )
    plain = optuna.samplers.CmaEsSampler(seed=0, warn_independent_sampling=False)
    assert conditional_missing_once(plain)[-1] == 20  # Optuna's own: random ever after.
    assert conditional_missing_once(make_sampler("cmaes", space, seed=0))[-1] == 39


def test_cmaes_learns_from_pruned_trials_too():
    study = run(make_sampler("cmaes", MIXED, seed=0), MIXED, 40, pruned=True)
    generations = [trial.system_attrs.get("cma:generation", -1) for trial in study.trials]
    only_complete = run(
        make_sampler("cmaes", MIXED, seed=0, consider_pruned_trials=False), MIXED, 40, pruned=True
    )
    assert max(generations) > max(
        trial.system_attrs.get("cma:generation", -1) for trial in only_complete.trials
    )


def test_cmaes_without_anything_to_model_is_refused():
    with pytest.raises(UnsupportedSpaceError, match="always active"):
        make_sampler("cmaes", space_of(*FINITE[:2]), seed=0)


def test_grid_gives_every_configuration_once_with_three_running_at_a_time():
    space = space_of(*FINITE)
    study = optuna.create_study(sampler=make_sampler("grid", space, seed=0))
    seen, running = [], []
    for _ in range(space.size):
        trial = study.ask()
        seen.append(space.configuration_key(suggest(space, trial)))
        running.append(trial)
        if len(running) == 3:
            study.tell(running.pop(0), 0.0)
    for trial in running:
        study.tell(trial, 0.0)  # Optuna's own sampler raises here.
    assert len(set(seen)) == space.size == (1 + 10) * 3 * 3 * 4


def test_grid_refuses_a_range_without_a_step_by_name():
    for call in (lambda: make_sampler("grid", MIXED, seed=0), lambda: modelled("grid", MIXED)):
        with pytest.raises(UnsupportedSpaceError, match=r"'rate'.*Give them a step"):
            call()


@pytest.mark.parametrize("name", ["tpe", "cmaes", "random", "grid"])
def test_the_same_seed_gives_the_same_trials_and_zero_is_a_seed(name):
    space = space_of(*FINITE)

    def configurations(seed):
        study = run(make_sampler(name, space, seed), space, 15, score=lambda values: values["depth"])
        return [trial.params for trial in study.trials]

    assert configurations(0) == configurations(0)
    assert configurations(0) != configurations(1)


@pytest.mark.parametrize("name", ["tpe", "cmaes", "random", "grid"])
def test_making_a_sampler_is_silent(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_sampler(name, space_of(*FINITE), seed=1)


def test_unknown_names_and_options_are_config_errors():
    with pytest.raises(ConfigError, match=r"must be one of.*'bohb'"):
        make_sampler("bohb", MIXED, seed=0)
    with pytest.raises(ConfigError, match="n_starts"):
        make_sampler("tpe", MIXED, seed=0, n_starts=3)
