import socket

import pytest

from fer_ray.errors import ServingError
from fer_ray.serving.cluster import require_free_port


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"port {port}"):
            require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)
