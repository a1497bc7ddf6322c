"""Every answer of the endpoint that is not a prediction: one status, one code, one sentence.

The only place that knows HTTP status codes. The endpoint sends each as
``{"error": {"code": ..., "message": ...}}``.
"""

from collections.abc import Mapping


class RequestError(Exception):
    """A request that the endpoint refuses.

    Args:
        status: The HTTP status, 400 to 599.
        code: A short name that a program can compare, such as ``too_many_pixels``.
        message: One sentence for a person: what was wrong, and what the endpoint takes.
        headers: Further HTTP headers, such as Retry-After.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, code, message, headers)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def bad_request(code: str, message: str) -> RequestError:
    """The bytes break the format that they claim."""
    return RequestError(400, code, message)


def too_large(code: str, message: str) -> RequestError:
    """More bytes, pixels or images than a request may hold."""
    return RequestError(413, code, message)


def unsupported(code: str, message: str) -> RequestError:
    """A content type or an image format that the endpoint does not read."""
    return RequestError(415, code, message)


def wrong_fields(message: str) -> RequestError:
    """Readable JSON that does not have the fields of a request."""
    return RequestError(422, "wrong_fields", message)


def overloaded(retry_after_s: int) -> RequestError:
    """The replica has as many requests as it may hold; another try may find room."""
    message = f"The server has more requests than it can hold; try again in {retry_after_s} s."
    return RequestError(503, "overloaded", message, {"Retry-After": str(retry_after_s)})


def not_ready() -> RequestError:
    """The model has not answered its first prediction yet."""
    return RequestError(503, "not_ready", "The model is not ready yet.", {"Retry-After": "1"})


def internal(message: str = "The server failed to answer; its log has the reason.") -> RequestError:
    """A fault of the server's own; the reason stays in its log."""
    return RequestError(500, "internal", message)
