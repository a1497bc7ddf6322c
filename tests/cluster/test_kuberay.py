"""KubeRay's manifests: pods against the schemas of Kubernetes, the rest against the fields that KubeRay knows."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2] / "cluster" / "kuberay"
KUBERNETES = "1.34"
_POD = object()  # a PodTemplateSpec
#: Fields of the kinds in `ray.io/v1` (KubeRay 1.6) that a person sets, with their types; * marks the required ones.
_HEAD = {
    "template*": _POD,
    "rayStartParams": dict,
    "serviceType": str,
    "enableIngress": bool,
    "headService": dict,
}
_WORKERS = {
    "groupName*": str,
    "template*": _POD,
    "rayStartParams": dict,
    "replicas": int,
    "minReplicas*": int,
    "maxReplicas*": int,
    "idleTimeoutSeconds": int,
    "numOfHosts": int,
    "suspend": bool,
}
_CLUSTER = {
    "headGroupSpec*": _HEAD,
    "workerGroupSpecs": [_WORKERS],
    "rayVersion": str,
    "authOptions": {"mode": {"token", "disabled"}},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict,
    "gcsFaultToleranceOptions": dict,
    "suspend": bool,
}
_SPECS = {
    "RayCluster": _CLUSTER,
    "RayJob": {
        "entrypoint": str,
        "rayClusterSpec": _CLUSTER,
        "submissionMode": {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"},
        "backoffLimit": int,
        "activeDeadlineSeconds": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "runtimeEnvYAML": str,
        "submitterPodTemplate": _POD,
        "metadata": dict,
        "suspend": bool,
    },
    "RayService": {
        "serveConfigV2": str,
        "rayClusterConfig": _CLUSTER,
        "serveService": dict,
        "upgradeStrategy": dict,
    },
}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(ROOT.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def check(value: Any, rule: Any, where: str) -> None:
    """Raises what the API server would refuse."""
    if rule is _POD:
        pod = {**value, "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    elif isinstance(rule, dict):
        known = {name.rstrip("*"): name for name in rule}
        assert set(value) <= set(known), f"{where}: unknown {set(value) - set(known)}"
        missing = {name for name, marked in known.items() if marked.endswith("*")} - set(value)
        assert not missing, f"{where}: missing {missing}"
        for name, inner in value.items():
            check(inner, rule[known[name]], f"{where}.{name}")
    elif isinstance(rule, list):
        for number, inner in enumerate(value):
            check(inner, rule[0], f"{where}[{number}]")
    elif isinstance(rule, set):
        assert value in rule, f"{where}: {value}"
    else:
        assert type(value) is rule, f"{where}: {value!r} is no {rule.__name__}"


def load(name: str) -> dict[str, Any]:
    return next(document for file, document in documents() if file == name)


def cluster_of(document: dict[str, Any]) -> dict[str, Any]:
    spec = document["spec"]
    found: dict[str, Any] = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    return found


def test_the_volume_is_what_kubernetes_accepts():
    kubernetes_validate.validate(load("storage.yaml"), KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml", "rayservice.yaml"])
def test_a_manifest_is_what_kuberay_and_kubernetes_accept(name):
    document = load(name)
    assert (
        set(document) == {"apiVersion", "kind", "metadata", "spec"} and document["apiVersion"] == "ray.io/v1"
    )
    check(document["spec"], _SPECS[document["kind"]], document["kind"])


def test_no_two_kinds_share_a_name_by_which_the_operator_makes_services():
    names = [document["metadata"]["name"] for _, document in documents()]
    assert len(names) == len(set(names)) == 4


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda spec: spec.update(workerGroupSpec=[]), "unknown"),
        (lambda spec: spec["workerGroupSpecs"][0].pop("groupName"), "missing"),
        (lambda spec: spec["workerGroupSpecs"][0].update(replicas="2"), "is no int"),
        (lambda spec: spec["authOptions"].update(mode="on"), "mode"),
        (lambda spec: spec["headGroupSpec"]["template"]["spec"].update(container=[]), "container"),
        (lambda spec: spec["headGroupSpec"]["template"]["spec"]["containers"][0].pop("name"), "name"),
    ],
)
def test_the_check_finds_what_is_wrong(break_, message):
    spec = copy.deepcopy(load("raycluster.yaml")["spec"])
    break_(spec)
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError), match=message):
        check(spec, _CLUSTER, "spec")


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml", "rayservice.yaml"])
def test_pods_share_the_volume_and_want_a_token(name):
    cluster = cluster_of(load(name))
    assert cluster["authOptions"] == {"mode": "token"} and cluster["rayVersion"] == "2.60.0"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        # The operator mounts a /dev/shm of the pod's own size where there is none.
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {"data": "/data"}
        claimed = {volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]}
        assert load("storage.yaml")["metadata"]["name"] in claimed
    # Nothing changes their number.
    assert all(group["replicas"] == group["minReplicas"] > 0 for group in cluster["workerGroupSpecs"])
