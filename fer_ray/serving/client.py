"""Sends image files to an endpoint."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fer_ray.errors import ServingError
from fer_ray.progress import Progress, no_progress

#: Bytes and files of one request stay well below the endpoint's own limits.
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_FILES = 32
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class FilePrediction:
    """The answer for one file.

    Attributes:
        probabilities: Label to probability; they sum to 1.
        model: ``name:version`` that answered.
    """

    file: str
    label: str
    probability: float
    probabilities: dict[str, float]
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class _Again(Exception):
    """The endpoint is overloaded or restarting."""


def predict_files(
    paths: Sequence[str | Path], url: str, *, timeout_s: float = 30, progress: Progress = no_progress
) -> list[FilePrediction]:
    """Classifies image files, several in one request.

    A connection that is refused or breaks and a 503 are tried again, up to five times; a prediction changes
    nothing on the server, so that is safe. Nothing else is tried again.

    Args:
        paths: Image files of the formats that the endpoint reads.
        url: Of the endpoint, without /predict.
        timeout_s: Seconds of one request.
        progress: Told the files that are answered.

    Raises:
        ServingError: If a file cannot be read, or the endpoint is not there or refuses; it names the file where
            only one was sent.
    """
    answers: list[FilePrediction] = []
    with httpx.Client(base_url=url.rstrip("/"), timeout=timeout_s) as client:
        for batch in _batches([Path(path) for path in paths]):
            body = _ask(client, batch, url)
            answers.extend(_answers(batch, body, url))
            progress("predict", len(answers), len(paths))
    return answers


def _batches(paths: Sequence[Path]) -> Iterator[list[tuple[Path, bytes]]]:
    """Files with their bytes; a file larger than a batch goes alone, and the endpoint decides about it."""
    batch: list[tuple[Path, bytes]] = []
    size = 0
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ServingError(str(path), "must be a readable image file", error.strerror or "") from error
        if batch and (len(batch) == _BATCH_FILES or size + len(content) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((path, content))
        size += len(content)
    if batch:
        yield batch


def _ask(client: httpx.Client, batch: Sequence[tuple[Path, bytes]], url: str) -> dict[str, Any]:
    retrying = Retrying(
        retry=retry_if_exception_type(
            (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError, _Again)
        ),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=3),
        reraise=True,
    )
    try:
        answer = retrying(_post, client, batch)
    except _Again as error:
        raise ServingError(f"endpoint {url}", "must have room for the request", str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        remedy = "Check the address; `fer-ray serve status` lists the endpoints of a cluster"
        raise ServingError(f"endpoint {url}", "must be reachable", reason, remedy) from error
    if answer.is_error:
        subject = str(batch[0][0]) if len(batch) == 1 else f"{len(batch)} files"
        raise ServingError(subject, f"must be accepted by {url}", _refusal(answer, batch))
    body: dict[str, Any] = _json(answer, url)
    return body


def _post(client: httpx.Client, batch: Sequence[tuple[Path, bytes]]) -> httpx.Response:
    files = [("image", (path.name, content, "application/octet-stream")) for path, content in batch]
    answer = client.post("/predict", files=files)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise _Again(f"503 {_refusal(answer, batch)}")
    return answer


def _refusal(answer: httpx.Response, batch: Sequence[tuple[Path, bytes]]) -> str:
    """The endpoint's sentence; of several files, the one that it counts is named."""
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"
    number, colon, rest = message.removeprefix("Image ").partition(": ")
    if colon and number.isdigit() and int(number) < len(batch):
        message = f"{batch[int(number)][0]}: {rest}"
    return message.rstrip(".")


def _json(answer: httpx.Response, url: str) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        received = answer.headers.get("content-type", "no content type")
        raise ServingError(f"endpoint {url}", "must answer JSON as fer-ray does", received) from error


def _answers(batch: Sequence[tuple[Path, bytes]], body: dict[str, Any], url: str) -> Iterator[FilePrediction]:
    try:
        model = f"{body['model']['name']}:{body['model']['version']}"
        for (path, _), found in zip(batch, body["predictions"], strict=True):
            yield FilePrediction(
                file=str(path),
                label=found["label"],
                probability=found["probability"],
                probabilities=found["probabilities"],
                model=model,
            )
    except (KeyError, TypeError, ValueError) as error:
        rule = "must answer one prediction for each file as fer-ray does"
        raise ServingError(f"endpoint {url}", rule, str(body)[:200]) from error
