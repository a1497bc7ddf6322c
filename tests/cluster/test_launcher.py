"""Ray's launcher files against Ray's own schema, and their instances against what the clouds' clients accept."""

import json
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import botocore.validate
import pytest
import yaml
from googleapiclient import discovery_cache
from moto import mock_aws
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


@mock_aws
def test_ray_launches_both_kinds_of_instance_on_a_simulated_ec2(monkeypatch, tmp_path):
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    (tmp_path / ".ssh").mkdir()
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    ec2, iam = boto3.client("ec2", "us-west-2"), boto3.client("iam")
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="fer-ray", Description="fer-ray", VpcId=network)["GroupId"]
    # As after a first `ray up`, which waits half a minute for the role that it has made.
    iam.create_role(RoleName="ray-autoscaler-v1", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="ray-autoscaler-v1")
    iam.add_role_to_instance_profile(InstanceProfileName="ray-autoscaler-v1", RoleName="ray-autoscaler-v1")
    config = prepared("aws")
    for kind in config["available_node_types"].values():
        kind["node_config"]["ImageId"] = ec2.describe_images()["Images"][0]["ImageId"]
        kind["node_config"]["SecurityGroupIds"] = [group]

    config = bootstrap_aws(config)
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    for name, kind in config["available_node_types"].items():
        provider.create_node(kind["node_config"], {"ray-user-node-type": name}, 1)

    launched = [one for found in ec2.describe_instances()["Reservations"] for one in found["Instances"]]
    assert {one["InstanceType"]: one.get("InstanceLifecycle") for one in launched} == {
        "m6i.xlarge": None,
        "g5.2xlarge": "spot",
    }
    assert {one["SecurityGroups"][0]["GroupId"] for one in launched} == {group}
    filled = AWSNodeProvider.fillout_available_node_types_resources(config)["available_node_types"]
    offered = filled["gpu-spot"]["resources"]
    assert (offered["CPU"], offered["GPU"], offered["accelerator_type:A10G"]) == (8, 1, 1)


def unknown_fields(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    """What Google's description of its API does not know; values of `enum` fields as well."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if schema["type"] == "array":
        return [found for one in value for found in unknown_fields(one, schema["items"], schemas, where)]
    if schema["type"] == "object":
        known = schema["properties"]
        lost = [f"{where}.{name}" for name in value if name not in known]
        inner = ((value[name], known[name], f"{where}.{name}") for name in value if name in known)
        return [
            *lost,
            *(found for one, rule, path in inner for found in unknown_fields(one, rule, schemas, path)),
        ]
    return [f"{where}: {value}"] if value not in schema.get("enum", [value]) else []


def test_compute_engine_knows_every_field_of_an_instance():
    schemas = json.loads(discovery_cache.get_static_doc("compute", "v1"))["schemas"]
    for kind in prepared("gcp")["available_node_types"].values():
        config = kind["node_config"]
        assert not unknown_fields(config, schemas["Instance"], schemas, "node_config")
        wrong = {**config, "disk": [], "scheduling": {"provisioningModel": "CHEAP"}}
        found = unknown_fields(wrong, schemas["Instance"], schemas, "node_config")
        assert found == ["node_config.disk", "node_config.scheduling.provisioningModel: CHEAP"]


def test_workers_of_google_cloud_may_pull_the_image():
    kinds = prepared("gcp")["available_node_types"]
    (account,) = kinds["gpu-spot"]["node_config"]["serviceAccounts"]
    assert account["email"].startswith("ray-autoscaler-sa-v1@")
    assert account["scopes"] == ["https://www.googleapis.com/auth/cloud-platform"]
    for kind in kinds.values():
        (disk,) = kind["node_config"]["disks"]
        assert disk["initializeParams"]["diskType"].endswith("pd-balanced")


def test_only_workers_are_spot_machines():
    kinds = prepared("gcp")["available_node_types"]
    assert kinds["gpu-spot"]["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert "scheduling" not in kinds["head"]["node_config"]
    assert kinds["gpu-spot"]["resources"]["GPU"] == 1
