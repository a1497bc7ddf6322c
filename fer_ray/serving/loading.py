"""From a reference in a registry to a model that can answer."""

from pathlib import Path

from fer_ray.registry.manifest import Manifest
from fer_ray.registry.store import CARD, Registry
from fer_ray.serving.engines import choose_engine, load_engine
from fer_ray.serving.predictor import ServedModel
from fer_ray.serving.schemas import ModelDescription


def load_served_model(
    registry: str | Path | Registry, reference: str, engine: str, threads: int
) -> ServedModel:
    """Fetches a version from a registry and loads its engine.

    Raises:
        RegistryError: If it cannot be fetched.
        ServingError, ExportError: If its engine cannot be loaded.
    """
    source = registry if isinstance(registry, Registry) else Registry(registry)
    manifest = source.resolve(reference).manifest
    folder = source.fetch(reference)
    card = (folder / CARD).read_text("utf-8") if CARD in manifest.files else ""
    description = describe(manifest, choose_engine(manifest, engine), card)
    return ServedModel(description=description, engine=load_engine(folder, manifest, engine, threads))


def describe(manifest: Manifest, engine: str, card: str) -> ModelDescription:
    """What GET /model tells; paths and hyperparameters stay inside."""
    dumped = manifest.model_dump(mode="json", exclude_none=True)
    return ModelDescription(
        name=manifest.name,
        version=manifest.version,
        labels=list(manifest.labels),
        input_shape=list(manifest.input_shape),
        engine=engine,
        created=manifest.created,
        metrics=dumped["metrics"],
        data=dumped["data"],
        card=card,
    )
