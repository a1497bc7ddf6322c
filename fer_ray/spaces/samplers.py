"""Optuna's samplers by name, and what each of them really does with every hyperparameter of a space."""

import importlib.util
import warnings
from typing import Any, Literal, get_args

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from fer_ray.errors import ConfigError, UnsupportedSpaceError
from fer_ray.spaces.hyperparameter import Hyperparameter
from fer_ray.spaces.optuna_bridge import labels, parameters
from fer_ray.spaces.space import Space

SamplerName = Literal["tpe", "cmaes", "qmc", "random", "grid", "gp"]

#: What a sampler does with a hyperparameter, in the words of `modelled`.
MODELLED = "modelled"
MODELLED_IN_BRANCH = "modelled among the trials that have it"
RANDOM = "random"
ENUMERATED = "enumerated"
FIXED = "fixed"


def make_sampler(name: str, space: Space, seed: int | None, **options: Any) -> BaseSampler:
    """Makes a sampler for a study over a space.

    - ``tpe``: TPE, each hyperparameter by itself, kept away from running trials (``constant_liar``). Random for
      the first ``n_startup_trials`` (10). ``multivariate: true`` models jointly those that are active together.
    - ``cmaes``: CMA-ES over the numeric hyperparameters that are always active. It learns from pruned trials at
      their last reported value too (``consider_pruned_trials``), or under ASHA it would learn from few.
    - ``qmc``: a scrambled Sobol' sequence over the numeric hyperparameters that are always active: as blind as
      random, but more even. Its place in the sequence is kept in the study.
    - ``gp``: a Gaussian process over the hyperparameters that are always active. It needs PyTorch, from the extra
      ``gp``, and learns from complete trials only.
    - ``random``: independent and uniform in the sense of each hyperparameter's sampling.
    - ``grid``: every configuration once, in random order. After ``space.size`` of them it repeats itself; who asks
      must count. It cannot go on in a study whose space has grown.

    Args:
        name: One of these.
        space: The space that it will be asked for; all but ``tpe`` and ``random`` depend on it.
        seed: Of its random numbers; None draws one. A new sampler with the same seed starts from the beginning,
            and a storage does not keep the state of a sampler.
        options: Further arguments of Optuna's class.

    Raises:
        ConfigError: If there is no such sampler, it has no such option, or its package is not installed.
        UnsupportedSpaceError: If ``grid`` meets a range without a step, or ``cmaes``, ``qmc`` or ``gp`` nothing
            that it can model.
    """
    treatments = modelled(name, space)
    if name in ("cmaes", "qmc", "gp") and MODELLED not in treatments.values():
        rule = f"needs a {'' if name == 'gp' else 'numeric '}hyperparameter that is always active"
        raise UnsupportedSpaceError(f"sampler {name}", rule, f"{sorted(treatments)}", "Use tpe")
    if name == "gp" and importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "sampler gp", "needs PyTorch", "no package torch", "Install fer-ray[gp], or use tpe"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _make(name, space, {"seed": seed, **options})
    except TypeError as error:
        raise ConfigError(f"sampler {name}", "unknown option", f"{sorted(options)} ({error})") from error


def modelled(name: str, space: Space) -> dict[str, str]:
    """How a sampler treats each hyperparameter.

    Read in Optuna 5.0 and held by tests on real studies:

    - TPE fits each parameter to the trials that have it, finished or pruned, so conditional ones are modelled
      too, categorical ones as well. With ``multivariate`` it fits each set that occurs together.
    - CMA-ES and QMC model parameters that are always active, with more than one value and not categorical; the
      Gaussian process takes categorical ones too. All others are drawn at random and independently.

    Returns:
        One of `MODELLED`, `MODELLED_IN_BRANCH`, `RANDOM`, `ENUMERATED` and `FIXED` (a single value) per
        hyperparameter, by its label: its name, or ``name#hash`` from the second of a name on.

    Raises:
        ConfigError: If there is no such sampler.
        UnsupportedSpaceError: If ``grid`` meets a range without a step.
    """
    if name not in get_args(SamplerName):
        raise ConfigError("sampler", f"must be one of {list(get_args(SamplerName))}", repr(name))
    if name == "grid":
        _refuse_continuous(space)
    asked, always = parameters(space), _always_active(space)
    found = {}
    for item, label in zip(space.hyperparameters, labels(space).values(), strict=True):
        parameter = asked.get(item.identity)
        if parameter is None:
            found[label] = FIXED
        elif name == "tpe":
            found[label] = MODELLED if item in always else MODELLED_IN_BRANCH
        elif name in ("cmaes", "qmc", "gp"):
            out = isinstance(parameter.distribution, CategoricalDistribution) and name != "gp"
            found[label] = MODELLED if item in always and not out else RANDOM
        else:
            found[label] = ENUMERATED if name == "grid" else RANDOM
    return found


class _AlwaysActiveCmaEsSampler(CmaEsSampler):
    """CMA-ES over a set of parameters that never changes.

    Optuna's own models whatever all complete trials so far have in common. Once it has finished a generation
    with a conditional parameter in that set, the first trial without it turns the rest of the study random.
    """

    def __init__(self, keys: frozenset[str], **options: Any) -> None:
        super().__init__(warn_independent_sampling=False, **options)
        self._keys = keys

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Optuna's space without the parameters that may be missing from a trial."""
        common = super().infer_relative_search_space(study, trial)
        return {key: distribution for key, distribution in common.items() if key in self._keys}


class _AlwaysActiveQmcSampler(QMCSampler):
    """QMC over a set of parameters that never changes: Optuna's own takes those that the first trial had."""

    def __init__(self, distributions: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(warn_independent_sampling=False, **options)
        self._distributions = distributions

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Always the same."""
        return self._distributions


class _AskedBruteForceSampler(BruteForceSampler):
    """Enumeration for ask and tell: Optuna's own stops the study at the end, which raises outside `optimize`."""

    def after_trial(self, *_: Any) -> None:
        """Does not look for the end."""


def _make(name: str, space: Space, options: dict[str, Any]) -> BaseSampler:
    asked = parameters(space)
    always = {
        asked[item.identity].key: asked[item.identity].distribution
        for item in _always_active(space)
        if item.identity in asked
    }
    match name:
        case "tpe":
            joint = options.get("multivariate", False)
            return TPESampler(**{"multivariate": joint, "group": joint, "constant_liar": True, **options})
        case "cmaes":
            return _AlwaysActiveCmaEsSampler(frozenset(always), **{"consider_pruned_trials": True, **options})
        case "qmc":
            numeric = {
                key: kind for key, kind in always.items() if not isinstance(kind, CategoricalDistribution)
            }
            return _AlwaysActiveQmcSampler(numeric, **{"scramble": True, **options})
        case "gp":
            return GPSampler(**options)
        case "grid":
            return _AskedBruteForceSampler(**options)
    return RandomSampler(**options)


def _always_active(space: Space) -> list[Hyperparameter]:
    """The first of each name if its conditions hold in every configuration."""
    found: list[Hyperparameter] = []
    names: set[str] = set()
    for item in space.hyperparameters:
        parents = {parent.name: parent for parent in found}
        certain = all(
            (parent := parents.get(condition.name)) is not None
            and parent.size is not None
            and parent.size <= len(condition.values)
            and all(parent.value_at(index) in condition.values for index in range(parent.size))
            for condition in item.conditions
        )
        if certain and item.name not in names:
            found.append(item)
        names.add(item.name)
    return found


def _refuse_continuous(space: Space) -> None:
    names = [item.name for item in space.hyperparameters if item.size is None]
    if names:
        rule = "can enumerate only hyperparameters with a step"
        raise UnsupportedSpaceError(
            "sampler grid", rule, str(names), "Give them a step, or use another sampler"
        )
