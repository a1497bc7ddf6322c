"""Images to answers: decodes and predicts off the event loop, and holds a finite number of requests."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fer_ray.errors import ServingError
from fer_ray.pixels import Box, Pixels
from fer_ray.serving.decode import decode_image
from fer_ray.serving.engines import Engine
from fer_ray.serving.http_errors import RequestError, overloaded, too_large
from fer_ray.serving.limits import Limits
from fer_ray.serving.schemas import ModelDescription, ModelReference, Prediction, PredictResponse


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """One image as it came: the file's bytes, and the face in it where the client knows it."""

    data: bytes
    box: Box | None = None


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded model with what the endpoint tells about it."""

    description: ModelDescription
    engine: Engine

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.description.input_shape
        return height, width, channels


@dataclass(kw_only=True)
class Predictor:
    """Answers requests with one model.

    Args:
        model: The loaded model.
        limits: Of a request and of the queue.
        workers: Requests that are computed at the same time; the others wait.
    """

    model: ServedModel
    limits: Limits = field(default_factory=Limits)
    workers: int = 1

    def __post_init__(self) -> None:
        """Starts the worker threads."""
        self._executor = ThreadPoolExecutor(self.workers, thread_name_prefix="predict")
        self._pending = 0
        self.ready = False

    async def predict(self, images: Sequence[EncodedImage]) -> PredictResponse:
        """Answers one request.

        Raises:
            RequestError: If an image is refused (the message says which), or too many requests wait.
        """
        if self._pending >= self.limits.max_pending:
            raise overloaded(self.limits.retry_after_s)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._answer, images)
        finally:
            self._pending -= 1

    def probe(self) -> None:
        """Does one real prediction on a grey image; afterwards the predictor is ready.

        Raises:
            ServingError: If the answer is not one probability per label that sums to 1.
        """
        grey: Pixels = np.full((1, *self.model.input_shape), 128, np.uint8)
        self.predictions(grey)
        self.ready = True

    def predictions(self, batch: Pixels) -> list[Prediction]:
        """Answers for pixels, uint8 (N, H, W, C) of the model's shape.

        Raises:
            ServingError: If the answer is not one probability per label that sums to 1.
            ExportError: If the pixels are of another type or shape.
        """
        return [_prediction(self.model.description.labels, row) for row in self._probabilities(batch)]

    def _answer(self, images: Sequence[EncodedImage]) -> PredictResponse:
        start = time.perf_counter()
        batch = self._decode(images)
        decoded = time.perf_counter()
        predictions = self.predictions(batch)
        done = time.perf_counter()
        description = self.model.description
        return PredictResponse(
            model=ModelReference(
                name=description.name, version=description.version, labels=description.labels
            ),
            predictions=predictions,
            timing_ms={
                "decode": round((decoded - start) * 1e3, 3),
                "predict": round((done - decoded) * 1e3, 3),
            },
        )

    def _decode(self, images: Sequence[EncodedImage]) -> Pixels:
        """uint8 (N, H, W, C); one decoded image is in memory at a time."""
        shape, limits = self.model.input_shape, self.limits
        batch: Pixels = np.empty((len(images), *shape), np.uint8)
        left = limits.max_total_pixels
        for index, image in enumerate(images):
            try:
                allowed = min(limits.max_pixels, left)
                batch[index], count = decode_image(image.data, shape, max_pixels=allowed, box=image.box)
            except RequestError as error:
                raise _numbered(error, index, len(images)) from error
            left -= count
            if left <= 0 and index + 1 < len(images):
                message = f"The images have more than {limits.max_total_pixels} pixels together."
                raise too_large("too_many_pixels", message)
        return batch

    def _probabilities(self, batch: Pixels) -> NDArray[np.float64]:
        """float64 (N, K); rescaled in double precision, so that each row sums to 1 to the last digits."""
        answer = np.asarray(self.model.engine.predict(batch), np.float64)
        expected = (len(batch), len(self.model.description.labels))
        sums = answer.sum(axis=-1, keepdims=True)
        if answer.shape != expected or not np.allclose(sums, 1, atol=1e-3) or (answer < 0).any():
            name = f"{self.model.description.name}:{self.model.description.version}"
            rule = f"must answer with probabilities of shape {expected}"
            raise ServingError(f"model {name}", rule, f"shape {answer.shape}, sums {sums.ravel()[:4]}")
        rescaled: NDArray[np.float64] = answer / sums
        return rescaled


def _numbered(error: RequestError, index: int, total: int) -> RequestError:
    """The same refusal, saying which of several images it is about (counted from 0, as in the arrays)."""
    if total == 1:
        return error
    return RequestError(error.status, error.code, f"Image {index}: {error.message}", error.headers)


def _prediction(labels: Sequence[str], row: NDArray[np.float64]) -> Prediction:
    best = int(row.argmax())
    shares = dict(zip(labels, row.tolist(), strict=True))
    return Prediction(label=labels[best], probability=shares[labels[best]], probabilities=shares)
