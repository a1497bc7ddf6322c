"""A registered model in this process: the answers of its endpoint without Ray and HTTP."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_ray.errors import ServingError
from fer_ray.pixels import Pixels
from fer_ray.registry.store import Registry
from fer_ray.serving.decode import decode_image
from fer_ray.serving.http_errors import RequestError
from fer_ray.serving.limits import Limits
from fer_ray.serving.loading import load_served_model
from fer_ray.serving.predictor import Predictor, ServedModel
from fer_ray.serving.schemas import Prediction

_BATCH = 64


class LocalModel:
    """Answers for faces.

    Args:
        model: That answers.

    Attributes:
        description: What is known of it: name, version, labels, input shape, engine, metrics, data and card.
    """

    def __init__(self, model: ServedModel) -> None:
        self.description = model.description
        self._shape, self._predictor = model.input_shape, Predictor(model=model)

    def __repr__(self) -> str:
        return f"LocalModel('{self.description.name}:{self.description.version}')"

    def predict(self, faces: Pixels | str | Path | Sequence[str | Path]) -> list[Prediction]:
        """One answer for each face: its label, with the probabilities of all labels.

        Args:
            faces: Pixels, uint8 (N, H, W, C) of the model's input shape; or image files of any size, or one.

        Raises:
            ServingError: If a file cannot be read, is no image or too large.
            ExportError: If the pixels are of another type or shape.
        """
        if isinstance(faces, str | Path):
            faces = [faces]
        answers: list[Prediction] = []
        for start in range(0, len(faces), _BATCH):
            batch = faces[start : start + _BATCH]
            pixels = (
                batch if isinstance(batch, np.ndarray) else np.stack([self._read(file) for file in batch])
            )
            answers += self._predictor.predictions(pixels)
        return answers

    def _read(self, file: str | Path) -> Pixels:
        try:
            pixels, _ = decode_image(Path(file).read_bytes(), self._shape, max_pixels=Limits().max_pixels)
        except OSError as error:
            raise ServingError(str(file), "must be a readable image file", error.strerror or "") from error
        except RequestError as error:
            raise ServingError(str(file), "must be an image", error.message.rstrip(".")) from error
        return pixels


def load_model(
    reference: str, registry: str | Path | Registry = "registry", *, engine: str = "default", threads: int = 1
) -> LocalModel:
    """Loads a registered model into this process.

    Args:
        reference: ``name``, ``name@alias`` or ``name:version``.
        registry: Path or URI of the registry, or the registry.
        engine: ``onnx``, ``onnx_int8``, or the model's default.
        threads: That one prediction computes with.

    Raises:
        ModelNotFoundError: If the reference means no version.
        RegistryError: If its files are not as registered.
        ServingError, ExportError: If its engine cannot be loaded.
    """
    return LocalModel(load_served_model(registry, reference, engine, threads))
