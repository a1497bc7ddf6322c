import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from fer_ray import ha_proxy, ports
from fer_ray.ha_proxy import is_loopback, node_environment, prepare_environment
from fer_ray.ports import ports_for_later


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("RAY_SERVE_")]:
        monkeypatch.delenv(variable)


def test_the_environment_is_private_and_undone() -> None:
    before = dict(os.environ)
    settings = prepare_environment()
    assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700
    for variable in ha_proxy._FILES:
        assert Path(os.environ[variable]).parent == settings.folder
    settings.undo()
    assert not settings.folder.exists() and dict(os.environ) == before


def test_variables_that_are_set_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", "18404")
    settings = prepare_environment()
    assert os.environ["RAY_SERVE_HAPROXY_STATS_PORT"] == "18404"
    settings.undo()
    assert os.environ["RAY_SERVE_HAPROXY_STATS_PORT"] == "18404"


def test_two_clusters_get_two_sets_of_ports_though_neither_serves_yet(tmp_path: Path) -> None:
    first, second = (
        [node_environment("127.0.0.1", tmp_path)[name] for name in ha_proxy._PORTS] for _ in range(2)
    )
    assert len(set(first)) == 3 and first != second


def test_a_port_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_LEFT_ALONE", range(port, port + 1))
        assert ports_for_later(1) == []
    assert ports_for_later(1) == [port]


def test_haproxy_is_kept_on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_METRICS_PORT", "19101")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", "18404")
    settings = prepare_environment()
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        "frontend prometheus\n    bind :19101\nfrontend front\n    bind *:18000\n"
        "listen stats\n  bind *:18404\n"
    )
    script = os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    result = subprocess.run([script, "-c", "-f", str(config)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    settings.undo()
    binds = [line.strip() for line in config.read_text().splitlines() if "bind" in line]
    assert binds == ["bind 127.0.0.1:19101", "bind *:18000", "bind 127.0.0.1:18404"]


def test_an_endpoint_for_everyone_keeps_rays_own_haproxy() -> None:
    settings = prepare_environment("0.0.0.0")
    assert "RAY_SERVE_HAPROXY_BINARY_PATH" not in os.environ
    settings.undo()


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False)]
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
