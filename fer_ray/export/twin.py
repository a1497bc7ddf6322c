"""A trained Keras model to what serving runs: ONNX float32, int8 where it costs nothing, parity and latency."""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import ExportError
from fer_ray.export.int8 import Int8Verdict, judge, quantise, rejected
from fer_ray.export.keras_to_onnx import export_onnx
from fer_ray.export.latency import BATCHES, Latency, measure_latency
from fer_ray.export.onnx_model import OnnxModel, Pixels, predict_all
from fer_ray.export.parity import Parity, check_parity
from fer_ray.progress import Progress, no_progress

if TYPE_CHECKING:
    import keras

FLOAT32, INT8 = "onnx", "onnx_int8"
FILES = {FLOAT32: "model.onnx", INT8: "model.int8.onnx"}
#: More images than this change neither the scales nor the parity.
_CALIBRATION_IMAGES = _PARITY_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What `export_twin` wrote and found.

    Args:
        engines: Engine name to file name, relative to the folder; ``onnx`` and, where accepted, ``onnx_int8``.
        default_engine: ``onnx_int8`` where it is accepted and faster, else ``onnx``.
        parity: The float32 twin against the Keras model.
        int8: Whether the int8 twin is shipped, and why.
        latency_ms: Engine to batch size to median milliseconds of a call on the exporting machine.
        threads: Threads per call that the latency was measured with.
    """

    engines: dict[str, str]
    default_engine: str
    parity: Parity
    int8: Int8Verdict
    latency_ms: dict[str, Latency]
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        latency = {
            name: {f"batch_{size}": value for size, value in sizes.items()}
            for name, sizes in self.latency_ms.items()
        }
        return {**asdict(self), "latency_ms": latency}

    def manifest_fields(self) -> dict[str, Any]:
        """The report as a model's manifest has it: ``engines``, ``default_engine`` and ``parity``."""
        values = self.to_dict()
        own = {key: values.pop(key) for key in ("engines", "default_engine")}
        return {**own, "parity": {**values.pop("parity"), **values}}


def export_twin(
    model: "keras.Model",
    folder: str | Path,
    *,
    calibration_images: Pixels,
    validation_images: Pixels,
    validation_labels: NDArray[np.int64],
    threads: int = 1,
    progress: Progress = no_progress,
) -> ExportReport:
    """Writes `model.onnx` and, where calibration shows no loss, `model.int8.onnx`.

    Args:
        model: A trained functional Keras model, float32, from images to probabilities.
        folder: Where to write; made if missing. An older twin in it is replaced.
        calibration_images: uint8 (N, H, W, C) of the train split; up to 512 of them fix the int8 scales.
        validation_images: uint8 (M, H, W, C), M at least 1; up to 512 check parity, all judge int8.
        validation_labels: Integers, shape (M,).
        threads: Threads that latency is measured with, as serving will have them.
        progress: Told the stages and how far they are.

    Raises:
        ExportError: If there are no images, the model has no ONNX form, or its twin answers otherwise. An int8
            twin that fails is no error; the report has the reason.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _require_images(calibration_images, validation_images, validation_labels)
    progress("exporting to ONNX (files)", 0, 1)
    (folder / FILES[INT8]).unlink(missing_ok=True)
    path = export_onnx(model, folder / FILES[FLOAT32])
    progress("exporting to ONNX (files)", 1, 1)
    twin = OnnxModel(path, threads)
    parity = check_parity(model, twin, _spread(validation_images, _PARITY_IMAGES), progress)
    arrays = (calibration_images, validation_images, validation_labels)
    verdict = _try_int8(twin, folder, *arrays, threads, progress)
    engines = {FLOAT32: twin}
    if verdict.accepted:
        engines[INT8] = OnnxModel(folder / FILES[INT8], threads)
    latency = measure_latency(engines, validation_images)
    return ExportReport(
        engines={name: FILES[name] for name in engines},
        default_engine=INT8 if INT8 in engines and _faster(latency) else FLOAT32,
        parity=parity,
        int8=verdict,
        latency_ms=latency,
        threads=threads,
    )


def _require_images(calibration: Pixels, validation: Pixels, labels: NDArray[np.int64]) -> None:
    if not len(calibration) or not len(validation) or len(labels) != len(validation):
        received = f"{len(calibration)}, {len(validation)} and {len(labels)} labels"
        rule = "needs calibration images, and validation images with a label each"
        raise ExportError("export", rule, received)


def _try_int8(
    twin: OnnxModel,
    folder: Path,
    calibration: Pixels,
    validation: Pixels,
    labels: NDArray[np.int64],
    threads: int,
    progress: Progress,
) -> Int8Verdict:
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        candidate = Path(temporary) / FILES[INT8]
        try:
            quantise(twin.path, candidate, _spread(calibration, _CALIBRATION_IMAGES), progress)
            model = OnnxModel(candidate, threads)
        except Exception as error:  # the quantiser raises what its parts raise; float32 serves without it
            return rejected(f"quantisation failed: {type(error).__name__}: {error}"[:500], len(labels))
        full = predict_all(twin, validation, progress=progress, stage="judging int8, float32 (images)")
        int8 = predict_all(model, validation, progress=progress, stage="judging int8, int8 (images)")
        verdict = judge(full, int8, labels)
        if verdict.accepted:
            shutil.move(candidate, folder / FILES[INT8])
    return verdict


def _faster(latency: dict[str, Latency]) -> bool:
    return all(latency[INT8][size] < latency[FLOAT32][size] for size in BATCHES)


def _spread(images: Pixels, count: int) -> Pixels:
    """At most `count` images, evenly over the array, which may be sorted by class."""
    places = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(np.int64)
    return images[places]
