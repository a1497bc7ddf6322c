"""A sweep whose data lie in an object store, and whose results go there."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.data.synthetic import write_synthetic
from fer_ray.errors import ConfigError, FerRayError, SweepError
from fer_ray.results import load
from fer_ray.search import SweepSpec, resume, run


@pytest.fixture
def spec(bucket, plain_space, tmp_path):
    write_synthetic(bucket("faces"), images=200, size=16)
    return SweepSpec.parse(
        {
            "name": "remote",
            "data": bucket("faces"),
            "space": {"file": str(plain_space)},
            "scheduler": {"max_epochs": 1},
            "max_trials": 1,
            "folder": str(tmp_path / "sweeps"),
            "publish": bucket("sweeps"),
            "model": {"register_winner": False},
        }
    )


@pytest.mark.ray
def test_data_and_results(spec, bucket, ray_cluster):
    result = run(spec)
    there, here = load(bucket("sweeps/remote")), load(result.path)
    pd.testing.assert_frame_equal(there.trials, here.trials)
    pd.testing.assert_frame_equal(there.epochs, here.epochs)
    assert there.outcome["ended"] == "max_trials" and there.sweep["name"] == "remote"
    resume(result.path, max_trials=2)
    assert len(load(bucket("sweeps/remote")).trials) == 2
    another = spec.model_copy(update={"folder": spec.folder / "elsewhere"})
    with pytest.raises(SweepError, match=r"must not have results of that name.*remote"):
        run(another)
    assert not another.path.exists()
    command = ["sweep", "delete", str(result.path), "--published"]
    asked = CliRunner().invoke(app, command, input="n\n")
    assert asked.exit_code == 1 and "its results at s3://" in asked.output
    assert CliRunner().invoke(app, [*command, "--yes"]).exit_code == 0
    assert not result.path.exists()
    with pytest.raises(FerRayError):
        load(bucket("sweeps/remote"))


def test_where_nothing_can_be_written_is_said_before_anything_starts(spec, credentials):
    away = "s3://bucket/sweeps?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(SweepError, match="publish s3://bucket/sweeps: must be writable"):
        run(spec.model_copy(update={"publish": away}))
    assert not spec.path.exists()


@pytest.mark.parametrize("key", ["data", "publish"])
def test_no_key_in_an_address(spec, key):
    content = {**spec.model_dump(mode="json"), key: "s3://key:secret@bucket/faces"}
    with pytest.raises(ConfigError, match=f"{key}: must hold no credentials") as raised:
        SweepSpec.parse(content)
    assert "secret" not in str(raised.value)
