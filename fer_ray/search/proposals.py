"""What to train next: known configurations first, then the sampler's, none of them twice."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from fer_ray.errors import SpaceError
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import SamplerStorage
from fer_ray.search.study import FailureKind, Progressed, tell_failed, values_of
from fer_ray.spaces import Space, Values
from fer_ray.spaces.optuna_bridge import VALUES_ATTRIBUTE, params_of, suggest
from fer_ray.spaces.samplers import make_sampler

_DUPLICATES_IN_A_ROW = 20


@dataclass(frozen=True)
class Proposal:
    """A trial to train: Optuna's number and the active hyperparameters."""

    number: int
    values: Values


class Proposals:
    """Asks the sampler.

    Args:
        spec: The sweep.
        space: What was discovered.
        study: The sweep's; its known configurations are enqueued here, unless an earlier process did that.
        storage: Of the study.
        paused: Tells the numbers of the trials that are paused now.

    Raises:
        SpaceError: If a known configuration is none of the space.
        UnsupportedSpaceError: If the sampler cannot express the space.
    """

    def __init__(
        self,
        spec: SweepSpec,
        space: Space,
        study: optuna.Study,
        storage: optuna.storages.BaseStorage,
        paused: Callable[[], Collection[int]],
    ) -> None:
        self._spec, self._space, self._study = spec, space, study
        trials = study.get_trials(deepcopy=False)
        self._sampler = make_sampler(
            spec.searcher.kind, space, self._seed(len(trials)), **spec.searcher.options
        )
        # A seed of its own: TPE draws its first trials as a random sampler does, and these would be drawn twice.
        self._random = make_sampler("random", space, (self._seed(len(trials)) + 104_729) % 2**31)
        self._view = optuna.load_study(
            study_name=study.study_name, storage=SamplerStorage(storage, paused), sampler=self._sampler
        )
        self._keys = {space.configuration_key(values_of(trial)) for trial in trials if is_proposal(trial)}
        self._asked = len(trials)
        self._enqueue_known()

    def ask(self) -> tuple[optuna.Trial, Values] | None:
        """A new trial and its active hyperparameters; None if the sampler has nothing new."""
        for _ in range(_DUPLICATES_IN_A_ROW):
            self._view.sampler = self._random if self._is_random(self._asked) else self._sampler
            trial = self._view.ask()
            self._asked = trial.number + 1
            values = suggest(self._space, trial)
            trial.set_user_attr(VALUES_ATTRIBUTE, values)
            key = self._space.configuration_key(values)
            if key not in self._keys:
                self._keys.add(key)
                return trial, values
            reason = "the same configuration was trained before"
            tell_failed(trial, Progressed(), FailureKind.DUPLICATE, reason)
        return None

    def _is_random(self, number: int) -> bool:
        """By the trial's number, so that a restart changes nothing."""
        share = self._spec.searcher.random_share
        return share > 0 and np.random.default_rng((self._spec.seed, number)).random() < share

    def _seed(self, done: int) -> int:
        """A sampler's random state is not in the storage: a resumed one must not draw what the first has drawn.

        QMC's place in its sequence is, and holds for its first seed only.
        """
        shift = 0 if self._spec.searcher.kind == "qmc" else 7919 * done
        return (self._spec.seed + shift) % 2**31

    def _enqueue_known(self) -> None:
        known = self._spec.searcher.known
        for place, given in enumerate([{}] if known is None else known):
            try:
                values = self._space.check({**self._space.complete(given), **given})
            except SpaceError as error:
                if known is None:  # Keras Tuner takes defaults outside their ranges; nobody named this one.
                    return
                where = f"searcher.known[{place}], {error.where}"
                raise SpaceError(where, error.rule, error.received) from error
            self._study.enqueue_trial(params_of(self._space, values)[0], skip_if_exists=True)


def is_proposal(trial: FrozenTrial) -> bool:
    """Whether a trial has a configuration, whatever became of it."""
    return VALUES_ATTRIBUTE in trial.user_attrs
