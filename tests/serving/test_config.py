"""The application that a Serve configuration file names, as the manifest for KubeRay does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from fer_ray.errors import RegistryError
from fer_ray.registry.store import ModelVersion, Registry
from fer_ray.serving.config import ApplicationArguments, application

MANIFEST = Path(__file__).parents[2] / "cluster" / "kuberay" / "rayservice.yaml"


@pytest.fixture
def served() -> ServeApplicationSchema:
    """The one application of the manifest, as Ray Serve reads it."""
    text = yaml.safe_load(MANIFEST.read_text())["spec"]["serveConfigV2"]
    (found,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    return found


def arguments(served: ServeApplicationSchema, registry: Path) -> ApplicationArguments:
    return ApplicationArguments(**{**served.args, "registry": str(registry)})


def test_the_manifest_names_an_application_that_is_there(
    served: ServeApplicationSchema, tmp_path: Path, register_toy: Callable[..., ModelVersion]
) -> None:
    assert served.import_path == f"{application.__module__}:{application.__name__}"
    registry = Registry(tmp_path)
    version = register_toy(registry, name="my")
    registry.promote(version.reference, "production")
    deployment = application(arguments(served, tmp_path))._bound_deployment
    assert deployment.num_replicas == served.args["replicas"]
    assert deployment.init_args[1] == version.reference


def test_what_is_not_registered_is_refused(served: ServeApplicationSchema, tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        application(arguments(served, tmp_path))


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"replica": 1}, {"registry": None}])
def test_wrong_arguments_are_refused(served: ServeApplicationSchema, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ApplicationArguments(**{**served.args, **wrong})
