"""An HTTP request to the images in it: raw bytes, multipart form or JSON with base64."""

import base64
import binascii
import re
from collections.abc import AsyncGenerator, Sequence

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fer_ray.pixels import Box
from fer_ray.serving.http_errors import bad_request, too_large, unsupported, wrong_fields
from fer_ray.serving.limits import Limits
from fer_ray.serving.predictor import EncodedImage
from fer_ray.serving.schemas import JsonRequest

_RAW_TYPES = {
    "",  # a client that names no type sends an image or gets 400
    "application/octet-stream",
    *(f"image/{kind}" for kind in ("jpeg", "jpg", "pjpeg", "png", "x-png", "webp", "bmp", "x-ms-bmp", "gif")),
}
_TAKEN = (
    "image/jpeg, image/png, image/webp, image/bmp, image/gif, application/octet-stream, "
    "multipart/form-data or application/json"
)


async def read_images(request: Request, limits: Limits) -> list[EncodedImage]:
    """Takes the images out of a request.

    Raises:
        RequestError: 400 for an empty or malformed body, 413 for too many bytes or images, 415 for another
            content type, 422 for JSON with wrong fields.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _RAW_TYPES and kind not in ("application/json", "multipart/form-data"):
        message = f"Content-Type {kind[:80]!r} is not supported; send {_TAKEN}."
        raise unsupported("unsupported_content_type", message)
    boxes = _query_boxes(request)
    body = await _read_body(request, limits.max_body_bytes)
    if not body:
        raise bad_request("empty_body", "The body is empty; send an image.")
    if kind == "application/json":
        return _from_json(body, limits)
    files = await _from_multipart(request, body, limits) if kind == "multipart/form-data" else [body]
    return _paired(files, boxes, limits)


async def _read_body(request: Request, limit: int) -> bytes:
    """Reads at most `limit` bytes; a larger Content-Length is refused before anything is read."""
    message = f"The body is larger than {limit} bytes."
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large("body_too_large", message)
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large("body_too_large", message)
        parts.append(chunk)
    return b"".join(parts)


def _from_json(body: bytes, limits: Limits) -> list[EncodedImage]:
    try:
        parsed = JsonRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise bad_request("bad_json", "The body is not valid JSON.") from error
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise wrong_fields(f"Field {place[:80]!r}: {first['msg']}.") from error
    boxes = [None if box is None else _as_box(box) for box in parsed.boxes or []]
    return _paired([_from_base64(text, index) for index, text in enumerate(parsed.images)], boxes, limits)


def _from_base64(text: str, index: int) -> bytes:
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request("bad_base64", f"Image {index} is not valid base64.") from error


async def _from_multipart(request: Request, body: bytes, limits: Limits) -> list[bytes]:
    """The files of a form, whatever their fields are called; fields that hold no file are refused."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = MultiPartParser(
        request.headers,
        stream(),
        max_files=limits.max_images,
        max_fields=0,
        max_part_size=limits.max_body_bytes,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        reason = str(getattr(error, "message", "no boundary in the Content-Type"))
        if "files" in reason:
            raise _too_many(limits) from error
        if "fields" in reason:
            message = "A form field holds no file; send each image as a file, with a file name."
            raise bad_request("wrong_form_field", message) from error
        raise bad_request("bad_multipart", f"The form cannot be read: {reason.rstrip('.')}.") from error
    try:
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not uploads:
            raise bad_request("no_file", "The form has no file; send each image as a file.")
        return [await upload.read() for upload in uploads]
    finally:
        await form.close()


def _query_boxes(request: Request) -> list[Box | None]:
    """The boxes of raw and form requests: `?box=left,top,right,bottom`, once per image in order."""
    boxes: list[Box | None] = []
    for text in request.query_params.getlist("box"):
        if not re.fullmatch(r"-?\d{1,6}(,-?\d{1,6}){3}", text):
            raise bad_request("bad_box", "A box must read left,top,right,bottom in whole pixels.")
        boxes.append(_as_box([int(part) for part in text.split(",")]))
    return boxes


def _as_box(numbers: Sequence[int]) -> Box:
    left, top, right, bottom = numbers
    return left, top, right, bottom


def _paired(files: Sequence[bytes], boxes: Sequence[Box | None], limits: Limits) -> list[EncodedImage]:
    if len(files) > limits.max_images:
        raise _too_many(limits)
    if boxes and len(boxes) != len(files):
        message = f"There must be as many boxes as images, or none; got {len(boxes)} for {len(files)}."
        raise bad_request("wrong_box_count", message)
    pairs = zip(files, boxes or [None] * len(files), strict=True)
    return [EncodedImage(data=data, box=box) for data, box in pairs]


def _too_many(limits: Limits) -> Exception:
    return too_large("too_many_images", f"At most {limits.max_images} images are allowed in one request.")
