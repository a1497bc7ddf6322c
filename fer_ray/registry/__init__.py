"""The registry room: model folders, manifests, aliases, model cards."""

from fer_ray.registry.catalogue import ModelVersion
from fer_ray.registry.manifest import Manifest
from fer_ray.registry.store import Registry

__all__ = ["Manifest", "ModelVersion", "Registry"]
