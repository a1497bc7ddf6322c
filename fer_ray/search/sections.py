"""The sections of a sweep file, each checked by itself."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fer_ray.objective import LATENCY, MODEL_MEASURES, PARAMETERS, Mode
from fer_ray.search.rungs import rung_epochs

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """`90`, `90s`, `45m`, `2h` or `1d` to seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Location = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Section(BaseModel):
    """A mapping without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_from_yes(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` are true, which pydantic would take for the number 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError("should be another type than true or false")
        return value


class SpaceSection(Section):
    """Where the space is defined.

    Args:
        file: A Python file with a Keras Tuner `HyperModel` or a `build(hp)` function.
        object: Which one, where the file has several.
        arguments: For the constructor.
    """

    file: Path
    object: str | None = None
    arguments: dict[str, Any] = {}


class ObjectiveSection(Section):
    """What is optimised.

    Args:
        metric: A metric that the epochs report. Where there are several objectives, those after the first may also
            be ``parameters`` or ``latency_ms``.
        mode: If absent, ``min`` for losses, errors, parameters and latency, and ``max`` for all else.
    """

    metric: str = "val_accuracy"
    mode: Mode = "max"

    @model_validator(mode="before")
    @classmethod
    def _infer_mode(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "mode" in content:
            return content
        metric = str(content.get("metric", ""))
        small = metric in MODEL_MEASURES or metric.endswith(("loss", "error"))
        return {**content, "mode": "min" if small else "max"}


#: The two ways to write objectives; a fault's place in the file does not name them.
OBJECTIVE_TAGS = ("one objective", "several objectives")

#: One mapping, or a list of them: the first decides who goes on and who wins.
Objectives = Annotated[
    Annotated[ObjectiveSection, Tag(OBJECTIVE_TAGS[0])]
    | Annotated[Annotated[list[ObjectiveSection], Field(min_length=1)], Tag(OBJECTIVE_TAGS[1])],
    Discriminator(lambda content: OBJECTIVE_TAGS[isinstance(content, list)]),
]


class ConstraintsSection(Section):
    """What a model may cost. One that breaks a constraint is infeasible: not trained, and not among `max_trials`.

    Args:
        max_parameters: Most weights, the trainable and the others.
        max_latency_ms: Longest time that one image may take, see `fer_ray.search.latency`.
    """

    max_parameters: Annotated[float, Field(gt=0)] | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The largest value that each constrained measure may have."""
        named = {PARAMETERS: self.max_parameters, LATENCY: self.max_latency_ms}
        return {measure: most for measure, most in named.items() if most is not None}


class SearcherSection(Section):
    """Who proposes.

    Args:
        kind: Optuna's TPE, CMA-ES, quasi-Monte Carlo, random, brute-force (grid) or Gaussian process (gp) sampler.
        options: For the sampler's constructor, such as `n_startup_trials`.
        known: Configurations to train first. What one of them leaves out takes the space's default. If None, the
            default configuration, provided that the defaults lie in their ranges.
        random_share: The share of proposals, 0 to 1, that is random whatever the sampler has learnt.
        warm_start: Folders of earlier sweeps over this space, or over a part of it, with the same data and
            objective: the sampler learns from their trials as if they were this sweep's.
    """

    kind: Literal["tpe", "cmaes", "qmc", "random", "grid", "gp"] = "tpe"
    options: dict[str, Any] = {}
    known: list[dict[str, Any]] | None = None
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    warm_start: list[Path] = []

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if self.warm_start and self.kind not in ("tpe", "gp"):
            raise ValueError(f"warm_start needs the kind tpe or gp: {self.kind} would not learn from it")
        return self


class SchedulerSection(Section):
    """Who stops trials early.

    Args:
        kind: `asha`, `median` (Ray's median stopping rule), or `none`.
        variant: Of asha: `stopping` ends trials at their rungs; `promotion` pauses them, to go on later.
        eta: At each rung the best 1/eta go on.
        grace: Epochs before the first rung; with median, before a trial is judged.
        brackets: Of asha. With more than one, Hyperband's: bracket b leaves out the b lowest rungs.
        max_epochs: Of a trial that is never stopped.
    """

    kind: Literal["asha", "median", "none"] = "asha"
    variant: Literal["stopping", "promotion"] = "stopping"
    eta: Annotated[int, Field(ge=2)] = 3
    grace: Annotated[int, Field(ge=1)] = 1
    brackets: Annotated[int, Field(ge=1)] = 1
    max_epochs: Annotated[int, Field(ge=1)] = 9

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.kind == "none":
            return self
        if self.grace > self.max_epochs:
            raise ValueError(f"grace must be at most max_epochs, {self.max_epochs}")
        rungs = len(rung_epochs(self.max_epochs, self.eta, self.grace))
        if self.kind == "asha" and self.brackets > rungs + 1:
            raise ValueError(f"brackets must be at most {rungs + 1}, one more than there are rungs")
        return self


class PlateauSection(Section):
    """When a sweep has come to nothing better; Ray's `ExperimentPlateauStopper`.

    Args:
        top: How many of the best values, of all epochs of all trials, are looked at.
        std: The standard deviation of these, in units of the objective, under which they are on a plateau.
        patience: Epochs, of all trials, that the plateau must last.
    """

    top: Annotated[int, Field(ge=2)] = 10
    std: Annotated[float, Field(gt=0)] = 0.001
    patience: Annotated[int, Field(ge=0)] = 0


class LimitsSection(Section):
    """What ends an epoch, a trial or a worker that takes too much, or a wait; None is no limit.

    Args:
        epoch: Longest time of one epoch, in seconds or text such as 20m; the first one's includes building the
            model. The worker of a longer one is ended, and the trial tried again as often as `retries` says.
        trial: Longest time of one trial's epochs; it ends after the epoch that exceeds it and keeps its result.
        worker_mb: Memory of a worker, in megabytes, above which a new one takes its place before its next trial.
        discovery: Longest time of building and fitting one configuration on a handful of images while the space is
            discovered; the first one's includes importing TensorFlow. What hangs there ends the sweep.
        winner: Longest time of evaluating and exporting the winner. The sweep keeps its results and can be resumed.
        storage: Longest time that a database may be away before the sweep ends, to be resumed; workers go on
            training meanwhile.
    """

    epoch: Seconds | None = None
    trial: Seconds | None = None
    worker_mb: Annotated[float, Field(gt=0)] | None = 4000
    discovery: Seconds | None = 900
    winner: Seconds | None = 7200
    storage: Seconds = 300


class ResourcesSection(Section):
    """What one trial takes of the cluster.

    Args:
        cpu: Cores; a trial trains with as many threads.
        gpu: GPUs; fractions of one let trials share it, and above one only whole numbers go.
    """

    cpu: Annotated[float, Field(gt=0)] = 1
    gpu: Annotated[float, Field(ge=0)] = 0

    @property
    def bundle(self) -> dict[str, float]:
        """In Ray's words."""
        return {"CPU": self.cpu, **({"GPU": self.gpu} if self.gpu else {})}

    @field_validator("gpu")
    @classmethod
    def _shares_one_gpu(cls, gpu: float) -> float:
        if gpu > 1 and gpu != int(gpu):
            raise ValueError("must be a whole number above 1: Ray gives out no part of a second GPU")
        return gpu


class ModelSection(Section):
    """Where the winner goes.

    Args:
        name: In the registry; the sweep's name if None.
        registry: A folder or `pyarrow.fs` URI.
        register_winner: Whether the winner is registered at all.
    """

    name: Name | None = None
    registry: Location = "registry"
    register_winner: bool = True
