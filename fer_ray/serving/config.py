"""The application that a Ray Serve config file names, as KubeRay's RayService and `serve deploy` take one."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fer_ray.registry.store import Registry
from fer_ray.serving.deployment import build_application
from fer_ray.serving.engines import choose_engine
from fer_ray.serving.limits import Limits


class ApplicationArguments(BaseModel):
    """Under ``args`` of an application in the config file; as for `fer_ray.serving.deploy.deploy`."""

    model_config = ConfigDict(extra="forbid")

    registry: str
    reference: str
    engine: str = "default"
    replicas: int = Field(default=1, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)
    cpus: int = Field(default=1, ge=1)


def application(arguments: ApplicationArguments) -> Any:
    """Builds what ``import_path: fer_ray.serving.config:application`` means.

    An alias is resolved now: a promotion becomes visible when the config file is applied again with a change.

    Raises:
        RegistryError: If the reference means no version.
        ServingError: If the engine is not there.
    """
    found = Registry(arguments.registry).resolve(arguments.reference)
    return build_application(
        registry=arguments.registry,
        reference=found.reference,
        engine=choose_engine(found.manifest, arguments.engine),
        limits=Limits(),
        replicas=arguments.replicas,
        max_replicas=arguments.max_replicas or arguments.replicas,
        cpus=arguments.cpus,
    )
