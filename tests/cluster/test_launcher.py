"""Ray's launcher files against Ray's own schema, and their instances against what the clouds' clients accept."""

from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2] / "cluster"


def prepared(cloud: str) -> dict[str, Any]:
    """A file as `ray up` takes it: with Ray's defaults filled in."""
    content = yaml.safe_load((ROOT / cloud / "cluster.yaml").read_text())
    found: dict[str, Any] = prepare_config(content)
    return found


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_launcher_file_is_what_ray_up_accepts(cloud):
    config = prepared(cloud)
    validate_config(config)
    assert config["available_node_types"]["head"]["resources"]["CPU"] == 0
    assert config["available_node_types"]["gpu-spot"]["min_workers"] >= 1
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]
    # What Ray's defaults would install over the image.
    assert config["setup_commands"] == config["worker_setup_commands"] == config["head_setup_commands"] == []


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_worker_sees_its_gpus_and_the_launcher_sizes_shared_memory(cloud):
    config = prepared(cloud)
    assert config["available_node_types"]["gpu-spot"]["docker"]["worker_run_options"] == ["--gpus=all"]
    # The head has none, and would not start.
    assert not any("gpus" in option or "shm-size" in option for option in config["docker"]["run_options"])


def test_ray_refuses_what_it_does_not_know():
    config = prepared("aws")
    config["provider_"] = {}
    with pytest.raises(Exception, match="provider_"):
        validate_config(config)


@pytest.mark.parametrize("kind", ["head", "gpu-spot"])
def test_ec2_knows_every_field_of_an_instance(kind):
    node = prepared("aws")["available_node_types"][kind]["node_config"]
    model = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances")
    report = botocore.validate.ParamValidator().validate(
        {**node, "MinCount": 1, "MaxCount": 1}, model.input_shape
    )
    assert not report.has_errors(), report.generate_report()
    assert (node.get("InstanceMarketOptions", {}).get("MarketType") == "spot") is (kind == "gpu-spot")


def test_only_workers_are_spot_machines():
    kinds = prepared("gcp")["available_node_types"]
    assert kinds["gpu-spot"]["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert "scheduling" not in kinds["head"]["node_config"]
    assert kinds["gpu-spot"]["resources"]["GPU"] == 1
