"""How much one request, and one replica, may hold."""

from dataclasses import dataclass, fields

from fer_ray.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds, all inclusive, all at least 1.

    Ray Serve and HAProxy limit no body and no queue, so the endpoint does it itself.

    Attributes:
        max_body_bytes: Of one request's body, base64 and multipart framing included.
        max_images: In one request.
        max_pixels: Width times height of one image, read from its header before it is decoded.
        max_total_pixels: Over all images of a request; bounds the time that one request can take.
        max_pending: Requests that one replica holds, running or waiting; one more is answered 503.
        retry_after_s: What the 503 proposes, in seconds.
    """

    max_body_bytes: int = 16 * 1024 * 1024
    max_images: int = 64
    max_pixels: int = 25_000_000
    max_total_pixels: int = 100_000_000
    max_pending: int = 64
    retry_after_s: int = 1

    def __post_init__(self) -> None:
        """Checks the bounds.

        Raises:
            ConfigError: If one is below 1.
        """
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigError(f"limit {field.name}", "must be at least 1", str(getattr(self, field.name)))
