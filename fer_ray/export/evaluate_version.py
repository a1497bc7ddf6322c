"""Evaluates a registered version on a split of a data set, as it would be served."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_ray.data import Dataset, open_dataset
from fer_ray.errors import ExportError
from fer_ray.export.onnx_model import OnnxModel, predict_all
from fer_ray.export.twin import FLOAT32
from fer_ray.progress import Progress, no_progress
from fer_ray.registry import Manifest, Registry
from fer_ray.results.evaluation import Evaluation, evaluate


@dataclass(frozen=True, kw_only=True)
class VersionEvaluation:
    """How a registered version does on a split.

    Args:
        reference: ``name:version``.
        engine: Which of the version's engines answered.
        data: Name of the data set.
        split: Of the data set.
        evaluation: The numbers.
        warnings: What a reader of the numbers must know, in sentences.
    """

    reference: str
    engine: str
    data: str
    split: str
    evaluation: Evaluation
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**vars(self), "evaluation": self.evaluation.to_dict(), "warnings": list(self.warnings)}


def evaluate_version(
    registry: Registry,
    reference: str,
    data: str | Path,
    *,
    split: str = "test",
    engine: str | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> VersionEvaluation:
    """Runs a version's ONNX engine over a split.

    Args:
        registry: Where the version is.
        reference: ``name``, ``name@alias`` or ``name:version``.
        data: The folder of a data set.
        split: ``train``, ``validation`` or ``test``.
        engine: ``onnx`` or ``onnx_int8``; the version's default where it is one of them, else ``onnx``.
        threads: Threads to compute with; all cores by default.
        progress: Told how many images are loaded and answered.

    Raises:
        ModelNotFoundError: If there is no such version.
        RegistryError: If its files are not as registered.
        ExportError: If it has no such engine, or was made for other classes or images than the data set's.
        DataError: If the data set or the split cannot be read.
    """
    version = registry.resolve(reference)
    dataset = open_dataset(data)
    _require_match(version.reference, version.manifest, dataset)
    chosen = _engine(version.reference, version.manifest, engine)
    folder = registry.fetch(version.reference)
    images, labels = dataset.load(split, progress)
    model = OnnxModel(folder / version.manifest.engines[chosen], threads or os.cpu_count() or 1)
    probabilities = predict_all(model, images, progress=progress)
    protocol = f"Version {version.reference}, {chosen}, on the {split} split of {dataset.name}."
    return VersionEvaluation(
        reference=version.reference,
        engine=chosen,
        data=dataset.name,
        split=split,
        evaluation=evaluate(labels, probabilities, dataset.classes, protocol=protocol),
        warnings=_warnings(version.manifest, dataset, split),
    )


def _require_match(reference: str, manifest: Manifest, data: Dataset) -> None:
    where = f"data set {data.files.where}"
    if data.classes != manifest.labels:
        rule = f"must have the classes of {reference}, in its order: {', '.join(manifest.labels)}"
        raise ExportError(where, rule, ", ".join(data.classes))
    if data.image_shape != manifest.input_shape:
        sizes = [" x ".join(map(str, shape)) for shape in (manifest.input_shape, data.image_shape)]
        remedy = "Import the source again with that size and those channels"
        raise ExportError(where, f"must have images of {sizes[0]} as {reference}", sizes[1], remedy)


def _engine(reference: str, manifest: Manifest, engine: str | None) -> str:
    runnable = [name for name in manifest.engines if name.startswith(FLOAT32)]
    if engine is None:
        engine = manifest.default_engine if manifest.default_engine in runnable else FLOAT32
    if engine not in runnable:
        rule = f"engine must be one of its ONNX engines: {', '.join(runnable) or 'it has none'}"
        raise ExportError(f"model {reference}", rule, engine)
    return engine


def _warnings(manifest: Manifest, data: Dataset, split: str) -> tuple[str, ...]:
    warnings = []
    if data.fingerprint != manifest.data.fingerprint:
        warnings.append(
            f"{data.name} ({data.fingerprint[:12]}) is not the data set that the model was trained on, "
            f"{manifest.data.name} ({manifest.data.fingerprint[:12]}): some of these images may have been in it."
        )
    elif split == "train":
        warnings.append("The model was trained on these images: the numbers tell nothing about others.")
    elif split == "validation":
        warnings.append("These images chose the model among others: the numbers flatter it.")
    return tuple(warnings)
