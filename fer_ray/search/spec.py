"""What a sweep is asked to do: read from YAML, checked, and written beside its results."""

import re
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from fer_ray import __version__
from fer_ray.errors import ConfigError
from fer_ray.filesystems import has_credentials, without_secrets
from fer_ray.objective import LATENCY, MODEL_MEASURES, Objective
from fer_ray.search.sections import (
    OBJECTIVE_TAGS,
    ConstraintsSection,
    LimitsSection,
    Location,
    ModelSection,
    Name,
    Objectives,
    ObjectiveSection,
    PlateauSection,
    ResourcesSection,
    SchedulerSection,
    SearcherSection,
    Seconds,
    Section,
    SpaceSection,
)
from fer_ray.search.tracking_section import TrackingSection


class SweepSpec(Section):
    """One sweep.

    Args:
        name: Its folder's name under `folder`.
        data: A data set made by `fer-ray data import` or `synth`: a path, or a URI such as ``s3://bucket/faces``.
            Only the driver reads it.
        space, searcher, scheduler, constraints, plateau, limits, resources, tracking, model: See their sections.
        objective: One, or a list of them. The first, the primary, is an epoch's metric: rungs, budgets and the
            choice of the winner go by it.
        max_trials: Trials to train; infeasible configurations do not count.
        time_budget: Seconds, or text such as 90m, of one run of the sweep. Once this or another budget is used up
            no trial starts, and running ones end after their epoch.
        epoch_budget: Epochs of all trials together.
        target: A value of the primary objective; the sweep ends with the epoch that reaches it.
        concurrency: Trials at a time; as many as the cluster holds if None. Nodes that join are used, and where an
            autoscaler adds nodes, it is told of all trials that wait for one.
        seed: Of proposals, weights and the order of images.
        precision: Keras dtype policy of the trials; the winner is always evaluated in float32.
        retries: How often a trial is taken up again after its worker died or hung.
        storage: Optuna storage URL; a file in the sweep's folder if None.
        study: The study's name in the storage; given to a sweep when it is made.
        folder: Where sweeps lie; every node must see it under this path.
        publish: A folder or a URI such as ``s3://bucket/sweeps``: at the end of each run the sweep's tables, study
            and description are copied there, below its name.
        address: Of a Ray cluster's head, ``host:6379``; ``auto`` finds one on this machine, ``local`` starts one.
            If None, that of RAY_ADDRESS, else ``local``.
    """

    name: Name
    data: Location
    space: SpaceSection
    objective: Objectives = ObjectiveSection()
    constraints: ConstraintsSection = ConstraintsSection()
    searcher: SearcherSection = SearcherSection()
    scheduler: SchedulerSection = SchedulerSection()
    max_trials: Annotated[int, Field(ge=1)] = 16
    time_budget: Seconds | None = None
    epoch_budget: Annotated[int, Field(ge=1)] | None = None
    target: float | None = None
    plateau: PlateauSection | None = None
    limits: LimitsSection = LimitsSection()
    resources: ResourcesSection = ResourcesSection()
    concurrency: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    retries: Annotated[int, Field(ge=0)] = 2
    storage: str | None = None
    study: str | None = None
    folder: Path = Path("sweeps")
    publish: Location | None = None
    tracking: TrackingSection = TrackingSection()
    model: ModelSection = ModelSection()
    address: str | None = None

    @classmethod
    def from_yaml(
        cls, path: str | Path, overrides: dict[str, Any] | None = None, *, is_resolved: bool = False
    ) -> Self:
        """Reads a sweep file.

        Args:
            path: A YAML file; relative paths in it are relative to the working directory, but `space.file` is
                looked for beside the sweep file first.
            overrides: Dotted key -> value, such as ``{"scheduler.eta": 4}``; they win over the file.
            is_resolved: Whether a sweep has written it: what lies beside it then is that sweep's own copy.

        Raises:
            ConfigError: If the file cannot be read, or a key is unknown, of a wrong type or impossible.
        """
        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text())
        except OSError as error:
            raise ConfigError(str(path), "must be a readable sweep file", str(error.strerror)) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), "must be YAML", " ".join(str(error).split())) from error
        if not isinstance(content, dict):
            raise ConfigError(str(path), "must be a mapping of keys", type(content).__name__)
        _override(content, overrides or {}, str(path))
        if not is_resolved:
            _find_beside(content, path.parent)
        return cls.parse(content, str(path))

    @classmethod
    def parse(
        cls, content: dict[str, Any], where: str = "sweep", overrides: dict[str, Any] | None = None
    ) -> Self:
        """Checks a mapping.

        Args:
            content: As in a sweep file.
            where: What errors name as the place.
            overrides: As in `from_yaml`.

        Raises:
            ConfigError: With the place of the first fault, and how many more there are.
        """
        _override(content, overrides or {}, where)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = error.errors()
            first = faults[0]
            place = ".".join(str(part) for part in first["loc"] if part not in OBJECTIVE_TAGS)
            more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
            rule = "is no key of a sweep file" if first["type"] == "extra_forbidden" else _rule(first["msg"])
            raise ConfigError(
                f"{where}: {place}" if place else where, rule + more, _received(first)
            ) from error

    def to_yaml(self) -> str:
        """The resolved sweep file: every key, defaults too."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @property
    def metadata(self) -> dict[str, str]:
        """What the dashboard says of a job that drives the sweep."""
        return {"sweep": self.name, "folder": str(self.path.absolute()), "fer_ray": __version__}

    def masked(self) -> Self:
        """Without passwords and keys, to be shown and passed on."""
        model = self.model.model_copy(update={"registry": without_secrets(self.model.registry)})
        tracking = self.tracking
        if tracking.mlflow is not None and tracking.mlflow.uri is not None:
            told = tracking.mlflow.model_copy(update={"uri": without_secrets(tracking.mlflow.uri)})
            tracking = tracking.model_copy(update={"mlflow": told})
        places = {"storage": self.storage, "data": self.data, "publish": self.publish}
        shown = {key: place and without_secrets(place) for key, place in places.items()}
        return self.model_copy(update={**shown, "model": model, "tracking": tracking})

    def with_study(self) -> Self:
        """Named in its storage: in a database, which sweeps share, by a name that no other sweep has."""
        unique = f"{self.name}-{uuid.uuid4().hex[:8]}" if self.storage else self.name
        return self.model_copy(update={"study": self.study or unique})

    @property
    def study_name(self) -> str:
        """The study's name in the storage."""
        return self.study or self.name

    @property
    def path(self) -> Path:
        """The sweep's folder."""
        return self.folder / self.name

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives as values, the primary first."""
        sections = self.objective if isinstance(self.objective, list) else [self.objective]
        return tuple(Objective(metric=section.metric, mode=section.mode) for section in sections)

    @property
    def goal(self) -> Objective:
        """The primary objective as a value."""
        return self.goals[0]

    @property
    def measures_latency(self) -> bool:
        """Whether an objective or a constraint asks for it."""
        return LATENCY in self.constraints.limits or any(goal.metric == LATENCY for goal in self.goals)

    @field_validator("data", "publish")
    @classmethod
    def _holds_no_credentials(cls, location: str | None) -> str | None:
        if location is not None and has_credentials(location):
            raise ValueError(
                "must hold no credentials, which results would repeat; put them into the environment"
            )
        return location

    @model_validator(mode="after")
    def _objectives_are_possible(self) -> Self:
        metrics = [goal.metric for goal in self.goals]
        if metrics[0] in MODEL_MEASURES:
            raise ValueError(
                f"objective: {metrics[0]} needs a metric of the epochs before it, for rungs to go by"
            )
        if len(set(metrics)) < len(metrics):
            raise ValueError(f"objective: each metric must be named once: {', '.join(metrics)}")
        if len(metrics) > 1 and self.searcher.kind == "cmaes":
            raise ValueError("searcher.kind: cmaes knows one objective only; take tpe")
        return self


def _rule(message: str) -> str:
    """Pydantic's message as the second half of a sentence."""
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _received(fault: Any) -> str:
    """What broke the rule; of a mapping that broke a rule as a whole, the keys which that rule names."""
    value = fault["input"]
    if fault["type"] == "missing":
        return ""
    if fault["type"] == "value_error" and isinstance(value, dict):
        named = (key for key in value if re.search(rf"\b{re.escape(str(key))}\b", fault["msg"]))
        return ", ".join(f"{key}: {value[key]!r}" for key in named)[:200]
    return repr(without_secrets(value) if isinstance(value, str) else value)[:200]


def _override(content: dict[str, Any], overrides: dict[str, Any], where: str) -> None:
    for key, value in overrides.items():
        _set(content, key, value, where)


def _set(content: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        # YAML gives None for a section whose keys are all commented out.
        content[section] = {} if content.get(section) is None else content[section]
        content = content[section]
        if not isinstance(content, dict):
            raise ConfigError(f"{where}: {section}", "must be a mapping of keys", repr(content))
    content[key] = value


def _find_beside(content: dict[str, Any], folder: Path) -> None:
    space = content.get("space")
    if isinstance(space, dict) and isinstance(space.get("file"), str):
        beside = folder / space["file"]
        if beside.is_file():
            space["file"] = str(beside)
