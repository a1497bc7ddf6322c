"""A sweep's figures as a real Prometheus scrapes them from Ray."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from fer_ray.search import SweepSpec, run

pytestmark = pytest.mark.ray
DASHBOARD = Path(__file__).resolve().parents[2] / "cluster/grafana/fer_ray.json"


@pytest.fixture
def prometheus(tmp_path, ray_cluster, port):
    """A server that scrapes this cluster's nodes; calls of it query."""
    import ray

    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian's package of that name)")
    targets = [f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}" for node in ray.nodes()]
    config = {
        "scrape_configs": [
            {"job_name": "ray", "scrape_interval": "1s", "static_configs": [{"targets": targets}]}
        ]
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    with (tmp_path / "prometheus.txt").open("w") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def query(expression: str) -> list[dict]:
        url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expression)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    yield query
    server.terminate()
    server.wait(30)


def wait_for(condition) -> None:
    for _ in range(120):
        try:
            if condition():
                return
        except OSError:  # It is starting.
            pass
        time.sleep(0.5)
    raise AssertionError("not in a minute")


def test_prometheus_sees_sweep_trials_and_rungs(prometheus, tmp_path, faces, plain_space):
    spec = SweepSpec.parse(
        {
            "name": "measured",
            "data": str(faces),
            "space": {"file": str(plain_space)},
            "scheduler": {"variant": "promotion", "eta": 2, "max_epochs": 4},
            "max_trials": 5,
            "folder": str(tmp_path),
            "model": {"register_winner": False},
        }
    )
    result = run(spec)
    table = result.epochs.to_pandas()

    def value(expression: str) -> float:
        (found,) = prometheus(expression)
        return float(found["value"][1])

    of_sweep = '{sweep="measured"}'
    wait_for(lambda: prometheus(f"ray_fer_ray_epochs_total{of_sweep}"))
    wait_for(lambda: value(f"ray_fer_ray_epochs_total{of_sweep}") == len(table))
    assert value(f"ray_fer_ray_best_value{of_sweep}") == pytest.approx(result.best["value"])
    assert value(f"ray_fer_ray_epoch_seconds_count{of_sweep}") == len(table)
    assert value(f"sum(ray_fer_ray_trials{of_sweep})") == 5
    for epoch in (1, 2):
        rung = f'ray_fer_ray_rung_trials{{sweep="measured", epoch="{epoch}"}}'
        assert value(rung) == (table.epoch == epoch).sum()
    # A tag per trial would grow for as long as the sweep does.
    assert not prometheus('{__name__=~"ray_fer_ray_.*", trial!=""}')

    drawn = re.findall(r"ray_fer_ray_[a-z_]+", DASHBOARD.read_text())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            prometheus(target["expr"].replace("$sweep", "measured"))
    scraped = {one["metric"]["__name__"] for one in prometheus('{__name__=~"ray_fer_ray_.*"}')}
    assert set(drawn) <= scraped | {"ray_fer_ray_eta_seconds"}
