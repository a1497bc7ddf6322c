"""What a sweep is asked to do: read from YAML, checked, and written beside its results."""

import re
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fer_ray.errors import ConfigError
from fer_ray.objective import Mode, Objective

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """`90`, `90s`, `45m`, `2h` or `1d` to seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_from_yes(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` are true, which pydantic would take for the number 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError("should be another type than true or false")
        return value


class SpaceSection(_Section):
    """Where the space is defined.

    Args:
        file: A Python file with a Keras Tuner `HyperModel` or a `build(hp)` function.
        object: Which one, where the file has several.
        arguments: For the constructor.
    """

    file: Path
    object: str | None = None
    arguments: dict[str, Any] = {}


class ObjectiveSection(_Section):
    """What is optimised.

    Args:
        metric: A column of the epoch table.
        mode: If absent, ``min`` for losses and errors and ``max`` for all else.
    """

    metric: str = "val_accuracy"
    mode: Mode = "max"

    @model_validator(mode="before")
    @classmethod
    def _infer_mode(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "mode" in content:
            return content
        metric = str(content.get("metric", ""))
        return {**content, "mode": "min" if metric.endswith(("loss", "error")) else "max"}


class SearcherSection(_Section):
    """Who proposes.

    Args:
        kind: Optuna's TPE, CMA-ES, random or brute-force (grid) sampler.
        options: For the sampler's constructor, such as `n_startup_trials`.
        known: Configurations to train first. What one of them leaves out takes the space's default. If None, the
            default configuration, provided that the defaults lie in their ranges.
    """

    kind: Literal["tpe", "cmaes", "random", "grid"] = "tpe"
    options: dict[str, Any] = {}
    known: list[dict[str, Any]] | None = None


class SchedulerSection(_Section):
    """Who stops trials early.

    Args:
        kind: `asha`, or `none`.
        eta: At each rung the best 1/eta go on.
        grace: Epochs before the first rung.
        max_epochs: Of a trial that is never stopped.
    """

    kind: Literal["asha", "none"] = "asha"
    eta: Annotated[int, Field(ge=2)] = 3
    grace: Annotated[int, Field(ge=1)] = 1
    max_epochs: Annotated[int, Field(ge=1)] = 9

    @model_validator(mode="after")
    def _grace_below_max(self) -> Self:
        if self.kind == "asha" and self.grace > self.max_epochs:
            raise ValueError(f"grace must be at most max_epochs, {self.max_epochs}")
        return self


class ResourcesSection(_Section):
    """What one trial takes of the cluster; fractions of a GPU let trials share it."""

    cpu: Annotated[float, Field(gt=0)] = 1
    gpu: Annotated[float, Field(ge=0)] = 0


class ModelSection(_Section):
    """Where the winner goes.

    Args:
        name: In the registry; the sweep's name if None.
        registry: A folder or `pyarrow.fs` URI.
        register_winner: Whether the winner is registered at all.
    """

    name: Name | None = None
    registry: str = "registry"
    register_winner: bool = True


class SweepSpec(_Section):
    """One sweep.

    Args:
        name: Its folder's name under `folder`.
        data: A data set made by `fer-ray data import` or `synth`.
        space, objective, searcher, scheduler, resources, model: See their sections.
        max_trials: Trials to train; configurations that cannot be built do not count.
        time_budget: Seconds, or text such as 90m; no trial starts after it and running ones end.
        concurrency: Trials at a time; as many as the cluster holds if None.
        seed: Of proposals, weights and the order of images.
        precision: Keras dtype policy of the trials; the winner is always evaluated in float32.
        retries: How often a trial is taken up again after its worker died.
        storage: Optuna storage URL; a file in the sweep's folder if None.
        study: The study's name in the storage; given to a sweep when it is made.
        folder: Where sweeps lie; every node must see it under this path.
        address: Of a Ray cluster; a local one is started if None.
    """

    name: Name
    data: Path
    space: SpaceSection
    objective: ObjectiveSection = ObjectiveSection()
    searcher: SearcherSection = SearcherSection()
    scheduler: SchedulerSection = SchedulerSection()
    max_trials: Annotated[int, Field(ge=1)] = 16
    time_budget: Seconds | None = None
    resources: ResourcesSection = ResourcesSection()
    concurrency: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    retries: Annotated[int, Field(ge=0)] = 2
    storage: str | None = None
    study: str | None = None
    folder: Path = Path("sweeps")
    model: ModelSection = ModelSection()
    address: str | None = None

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: dict[str, Any] | None = None) -> Self:
        """Reads a sweep file.

        Args:
            path: A YAML file; relative paths in it are relative to the working directory, but `space.file` is
                looked for beside the sweep file first.
            overrides: Dotted key -> value, such as ``{"scheduler.eta": 4}``; they win over the file.

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
        for key, value in (overrides or {}).items():
            _set(content, key, value, str(path))
        _find_beside(content, path.parent)
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: dict[str, Any], where: str = "sweep") -> Self:
        """Checks a mapping.

        Raises:
            ConfigError: With the place of the first fault, and how many more there are.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = error.errors()
            first = faults[0]
            place = ".".join(str(part) for part in first["loc"])
            more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
            rule = "is no key of a sweep file" if first["type"] == "extra_forbidden" else _rule(first["msg"])
            received = "" if first["type"] == "missing" else repr(first["input"])[:200]
            raise ConfigError(f"{where}: {place}" if place else where, rule + more, received) from error

    def to_yaml(self) -> str:
        """The resolved sweep file: every key, defaults too."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

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
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective(metric=self.objective.metric, mode=self.objective.mode)


def _rule(message: str) -> str:
    """Pydantic's message as the second half of a sentence."""
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


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
        if not Path(space["file"]).is_file() and beside.is_file():
            space["file"] = str(beside)
