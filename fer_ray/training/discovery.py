"""Finds out what a space holds by building it, until every conditional scope has been active once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_tuner.engine.hyperparameters import serialize

from fer_ray.errors import FailedTrialError, SpaceError
from fer_ray.objective import MODEL_MEASURES, Objective
from fer_ray.progress import Progress, no_progress
from fer_ray.training.epochs import EpochLoop
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialConfig, TrialData, hyperparameters_of, run_epochs

_MOST_BUILDS = 100
_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was found.

    Args:
        space: As `HyperParameters.get_config()` gives it, its values the defaults.
        metrics: Names of the metrics that an epoch reports.
        not_resumable: Why `fit` cannot begin at a later `initial_epoch`; None if it can.
        infeasible: Reasons why some configurations could not be built or trained.
    """

    space: dict[str, Any]
    metrics: tuple[str, ...]
    not_resumable: str | None
    infeasible: list[str] = field(default_factory=list)


def discover(
    space_file: SpaceFile,
    data: TrialData,
    *,
    objective: Objective,
    further: Sequence[Objective] = (),
    progress: Progress = no_progress,
) -> Discovery:
    """Builds and fits configurations on a handful of images until no conditional scope is left unseen.

    Keras Tuner does the same in its driver, builds only and without a bound; here a `fit` runs too, for the
    hyperparameters that are asked for there.

    Args:
        space_file: The space.
        data: The data set; a few images of it are trained on.
        objective: Whose metric the epochs have to report.
        further: Other objectives; what is measured of the model need not be reported.
        progress: Told of each build.

    Returns:
        The space and what a run of its `fit` showed.

    Raises:
        SpaceError: If the default configuration cannot be trained, its epochs lack the objective's metric, or
            scopes are still unseen after 100 builds.
    """
    sample = data.part(_IMAGES, _IMAGES)
    reported = tuple(goal for goal in further if goal.metric not in MODEL_MEASURES)
    probe = _Probe(space_file, sample, objective, reported)
    not_resumable = probe.train({}, initial_epoch=1)
    if not_resumable and (reason := probe.train({}, initial_epoch=0)) is not None:
        raise SpaceError(str(space_file.path), "its default configuration must train", reason)
    infeasible = []
    for build in range(1, _MOST_BUILDS):
        progress("discovering the space", build, build + len(probe.unseen))
        if not probe.unseen:
            break
        forced = {condition.name: condition.values[0] for condition in probe.unseen.pop(0)}
        if (reason := probe.train(forced, initial_epoch=0)) is not None:
            infeasible.append(reason)
    if probe.unseen:
        raise SpaceError(str(space_file.path), f"must show all its scopes in {_MOST_BUILDS} builds")
    return Discovery(
        space=probe.space(), metrics=probe.metrics, not_resumable=not_resumable, infeasible=infeasible
    )


class _Probe:
    """Trains configurations on a few images and remembers what they asked for."""

    def __init__(
        self, space_file: SpaceFile, sample: TrialData, objective: Objective, further: tuple[Objective, ...]
    ) -> None:
        self.space_file, self.sample = space_file, sample
        self.objective, self.further = objective, further
        self.found: list[Any] = []
        self.seen: list[Any] = []
        self.unseen: list[Any] = []
        self.metrics: tuple[str, ...] = ()

    def train(self, forced: dict[str, Any], initial_epoch: int) -> str | None:
        """Trains one epoch of the defaults but for `forced`; the reason if that fails."""
        config = TrialConfig(
            space_file=self.space_file,
            space={"space": [serialize(hp) for hp in self.found]},
            values=self._defaults(forced),
            objective=self.objective,
            further=self.further,
            max_epochs=initial_epoch + 1,
        )
        hp = hyperparameters_of(config)
        loop = EpochLoop(config, self.sample, report=self._keep_metrics, checkpoints=None, resumed=None)
        loop.initial_epoch = loop.epoch = initial_epoch
        try:
            run_epochs(config, self.sample, loop, hp)
        except FailedTrialError as error:
            return str(error)
        finally:
            self._merge(hp)
        if initial_epoch and not loop.began:
            return "fit: must call on_train_begin of its callbacks to be resumed"
        return None

    def space(self) -> dict[str, Any]:
        """What was found, with the defaults as values, as JSON."""
        return {"space": [serialize(hp) for hp in self.found], "values": self._defaults({})}

    def _keep_metrics(self, metrics: dict[str, Any]) -> None:
        self.metrics = self.metrics or tuple(sorted(set(metrics) - {"epoch", "seconds", *MODEL_MEASURES}))

    def _defaults(self, forced: dict[str, Any]) -> dict[str, Any]:
        """Values of the hyperparameters that are active if `forced` are; parents come before children."""
        values = dict(forced)
        for hp in self.found:
            if all(condition.is_active(values) for condition in hp.conditions):
                values.setdefault(hp.name, hp.default)
        return values

    def _merge(self, hp: Any) -> None:
        known = [(item.name, item.conditions) for item in self.found]
        self.found += [item for item in hp.space if (item.name, item.conditions) not in known]
        self.seen += [scope for scope in hp.active_scopes if scope not in self.seen]
        self.unseen += [scope for scope in hp.inactive_scopes if scope not in self.unseen]
        self.unseen = [scope for scope in self.unseen if scope not in self.seen]
