"""The manifest of a registered model: what `manifest.json` holds and the rules it keeps.

Keys that this version does not know are kept and written back, so that a later release may add some without a
new format version. `FORMAT_VERSION` is raised only when an older reader would misread a manifest.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fer_ray.errors import RegistryError
from fer_ray.registry.names import check_name, is_version_id

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_PACKAGES = ("fer-ray", "keras", "tensorflow", "tensorflow-cpu", "numpy", "onnx", "onnxruntime", "tf2onnx")


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or ".." in parts:
        raise ValueError("must be a relative path inside the model's folder, with forward slashes")
    return path


def _version_id(text: str) -> str:
    if not is_version_id(text):
        raise ValueError("must read like 20261122T140501Z-3f9a2c")
    return text


RelativePath = Annotated[str, AfterValidator(_inside)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")


class ClassMetrics(_Part):
    """One class of a `SplitMetrics`; None where nothing defines the number."""

    name: str
    precision: Share | None = None
    recall: Share | None = None
    f1: Share | None = None
    support: int = Field(ge=0)


class SplitMetrics(_Part):
    """How the model did on one split, as `fer_ray.results.evaluation.Evaluation.to_dict` gives it.

    Attributes:
        interval: Low and high end of the 95% interval of `accuracy`.
        protocol: How the number came about; the card prints no number without it.
    """

    accuracy: Share
    n: int = Field(ge=1)
    interval: tuple[Share, Share]
    macro_f1: Share
    balanced_accuracy: Share
    per_class: tuple[ClassMetrics, ...] = ()
    protocol: str = ""


class SpaceReference(_Part):
    """The space that the model was built from: a file of the folder, the object in it, its arguments."""

    file: RelativePath
    object: str
    arguments: dict[str, Any] = {}


class DataReference(_Part):
    """The data set that the model was trained on.

    Attributes:
        fingerprint: Digest over the sorted (split, class name, decoded pixels), hexadecimal.
        card: Texts for the model card: ``description``, ``license``, ``caveats``, ``not_for``.
    """

    name: str
    fingerprint: str
    card: dict[str, str] = {}


class Manifest(_Part):
    """All that is known about a registered version; `registry.register` fills in what it decides itself.

    Attributes:
        labels: Class names in the order of the outputs.
        input_shape: Height, width, channels of the uint8 input.
        engines: Engine name (``onnx``, ``onnx_int8``, ``keras``) to the file it runs.
        files: Relative path to SHA-256 digest of every file but the manifest.
    """

    format_version: int = FORMAT_VERSION
    name: Annotated[str, AfterValidator(check_name)]
    version: Annotated[str, AfterValidator(_version_id)]
    created: str
    labels: tuple[str, ...] = Field(min_length=2)
    input_shape: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    engines: dict[str, RelativePath] = Field(min_length=1)
    default_engine: str
    space: SpaceReference | None = None
    hyperparameters: dict[str, Any] = {}
    metrics: dict[str, SplitMetrics] = {}
    parity: dict[str, Any] = {}
    sweep: dict[str, Any] = {}
    data: DataReference
    versions: dict[str, str] = {}
    files: dict[RelativePath, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be distinct")
        if self.default_engine not in self.engines:
            raise ValueError(f"default_engine {self.default_engine!r} must be one of {sorted(self.engines)}")
        needed = {*self.engines.values(), *([self.space.file] if self.space else [])}
        if missing := sorted(needed - set(self.files)):
            raise ValueError(f"the folder must hold {', '.join(missing)}")
        return self

    def to_json(self) -> str:
        """The text of `manifest.json`.

        Raises:
            RegistryError: If a value cannot be written as JSON (NaN, infinity, an object).
        """
        try:
            return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
        except (ValueError, TypeError) as error:
            raise RegistryError(f"manifest of {self.name}", "must be plain JSON", str(error)) from error


def build_manifest(fields: Mapping[str, Any], where: str) -> Manifest:
    """Checks the fields of a manifest.

    Raises:
        RegistryError: Naming the first key that breaks a rule; or that a newer fer_ray wrote the manifest.
    """
    found = fields.get("format_version", FORMAT_VERSION)
    if isinstance(found, int) and found > FORMAT_VERSION:
        remedy = "Upgrade fer-ray to read it"
        raise RegistryError(where, f"format_version must be at most {FORMAT_VERSION}", str(found), remedy)
    try:
        return Manifest.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        rule = first["msg"].removeprefix("Value error, ")
        received = repr(first["input"])[:200] if key else ""
        raise RegistryError(f"{where}: {key}" if key else where, rule, received) from error


def read_manifest(content: bytes, where: str) -> Manifest:
    """Reads the content of a `manifest.json`.

    Raises:
        RegistryError: If it is no JSON object or breaks a rule.
    """
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise RegistryError(where, "must be JSON", str(error)) from error
    if not isinstance(fields, dict):
        raise RegistryError(where, "must be a JSON object", type(fields).__name__)
    return build_manifest(fields, where)


def package_versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of those that are installed, without importing them.

    Args:
        packages: By default those that a model's answers depend on.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
