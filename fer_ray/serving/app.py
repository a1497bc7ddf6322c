"""The HTTP application: POST /predict, health, the model's description and a page to try it."""

import logging
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from fer_ray import __version__
from fer_ray.serving.http_errors import RequestError, internal, not_ready
from fer_ray.serving.predictor import Predictor
from fer_ray.serving.request_body import read_images
from fer_ray.serving.schemas import (
    ErrorResponse,
    Health,
    JsonRequest,
    ModelDescription,
    PredictResponse,
)

logger = logging.getLogger(__name__)

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"type": "object", "properties": {"image": {"type": "array", "items": _BINARY["schema"]}}}
_PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "description": "One image as it is, several as a form, or base64 in JSON.",
        "content": {
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {"schema": _FORM},
            "application/json": {
                "schema": JsonRequest.model_json_schema(),
                "example": {"images": ["iVBORw0KGgoAAAANSUhEUgAA..."], "boxes": [[10, 10, 90, 90]]},
            },
        },
    },
    "parameters": [
        {
            "name": "box",
            "in": "query",
            "required": False,
            "description": "Of raw and form requests: the face as left,top,right,bottom in pixels, once per image.",
            "schema": {"type": "array", "items": {"type": "string"}},
            "example": ["10,10,90,90"],
        }
    ],
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The body is empty, malformed or no image."},
    413: {"model": ErrorResponse, "description": "Too many bytes, pixels or images."},
    415: {"model": ErrorResponse, "description": "Another content type or image format."},
    422: {"model": ErrorResponse, "description": "JSON with wrong fields."},
    503: {"model": ErrorResponse, "description": "Overloaded; Retry-After says when to come back."},
}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": ErrorResponse, "description": "Not ready yet."}}


def create_app(predictor: Predictor) -> FastAPI:
    """Builds the application around one model.

    Args:
        predictor: Whose `probe` decides about /readyz.
    """
    description = predictor.model.description
    app = FastAPIOffline(
        title=f"{description.name} {description.version}",
        version=__version__,
        description="Send images, get labels and probabilities that sum to 1.",
    )
    _add_predict(app, predictor)
    _add_health(app, predictor)
    _add_error_handlers(app)

    @app.get("/model", summary="What the registry says about the model")
    async def model() -> ModelDescription:
        return description

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(files("fer_ray.serving").joinpath("page.html").read_text("utf-8"))

    return app


def _add_predict(app: FastAPI, predictor: Predictor) -> None:
    @app.post("/predict", openapi_extra=_PREDICT_BODY, responses=_REFUSALS, summary="Classify images")
    async def predict(request: Request) -> PredictResponse:
        return await predictor.predict(await read_images(request, predictor.limits))


def _add_health(app: FastAPI, predictor: Predictor) -> None:
    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> Health:
        return Health(status="alive")

    @app.get("/readyz", responses=_NOT_READY, summary="Whether the model is loaded and has predicted")
    async def readyz() -> Health:
        if not predictor.ready:
            raise not_ready()
        return Health(status="ready")


def _add_error_handlers(app: FastAPI) -> None:
    """One shape for every refusal; faults of our own go to the log, never to the client."""

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return _answer(error)

    @app.exception_handler(HTTPException)
    async def unroutable(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(_routing_error(request, error))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        logger.error("request failed: method=%s path=%s", request.method, request.url.path, exc_info=error)
        return _answer(internal())


def _routing_error(request: Request, error: HTTPException) -> RequestError:
    """The router's own 404 and 405 in our shape; the Allow header stays."""
    if error.status_code == 404:
        message = "There is no such path; POST images to /predict, or open /docs."
        return RequestError(404, "not_found", message)
    if error.status_code == 405:
        message = f"{request.method} is not allowed here; see /docs."
        return RequestError(405, "method_not_allowed", message, error.headers)
    return RequestError(error.status_code, "refused", str(error.detail), error.headers)


def _answer(error: RequestError) -> JSONResponse:
    body = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(body, error.status, dict(error.headers or {}))
