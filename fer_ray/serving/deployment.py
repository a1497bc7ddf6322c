"""The Ray Serve deployment: a replica loads one model version and answers HTTP with it."""

import asyncio
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig

from fer_ray.errors import ConfigError
from fer_ray.serving.app import create_app
from fer_ray.serving.limits import Limits
from fer_ray.serving.loading import load_served_model
from fer_ray.serving.predictor import Predictor


@serve.ingress()  # the application is built in the replica, around the model that it loaded
class ModelServer:
    """One replica.

    Args:
        registry: Path or URI, readable from the replica's node.
        reference: ``name:version``.
        engine: An engine's name.
        limits: Of a request and of the replica's queue.
        threads: Threads of one prediction, and predictions at the same time.
    """

    def __init__(self, registry: str, reference: str, engine: str, limits: Limits, threads: int) -> None:
        model = load_served_model(registry, reference, engine, threads=1)
        self._predictor = Predictor(model=model, limits=limits, workers=threads)
        self._predictor.probe()

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve once the constructor has returned."""
        return create_app(self._predictor)

    async def check_health(self) -> None:
        """Called by Serve every few seconds: one real prediction, past the queue of requests."""
        await asyncio.to_thread(self._predictor.probe)


def build_application(
    *, registry: str, reference: str, engine: str, limits: Limits, replicas: int, max_replicas: int, cpus: int
) -> Any:
    """A Serve application of one deployment.

    Args:
        registry, reference, engine, limits: As for `ModelServer`.
        replicas: How many, or the least where `max_replicas` is higher and Serve scales with the load.
        max_replicas: At least `replicas`.
        cpus: Cores that one replica reserves and computes with, at least 1.

    Raises:
        ConfigError: If a number is out of range.
    """
    if not 1 <= replicas <= max_replicas or cpus < 1:
        rule = "must be 1 <= replicas <= max_replicas, and cpus at least 1"
        raise ConfigError("replicas", rule, f"replicas={replicas}, max_replicas={max_replicas}, cpus={cpus}")
    scaling: dict[str, Any] = {"num_replicas": replicas}
    if max_replicas > replicas:
        # Two requests per core keep a replica busy; more means another replica helps.
        target = min(2.0 * cpus, limits.max_pending / 2)
        config = AutoscalingConfig(
            min_replicas=replicas, max_replicas=max_replicas, target_ongoing_requests=target
        )
        scaling = {"autoscaling_config": config}
    deployment = serve.deployment(
        ModelServer,
        name="ModelServer",
        **scaling,
        # The application refuses the request beyond max_pending with its own 503; Serve's limit lies above it,
        # so that only a flood meets Serve's plain-text answer.
        max_ongoing_requests=2 * limits.max_pending,
        max_queued_requests=limits.max_pending,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=limits.retry_after_s),
        max_surge_percent=100,  # a new version starts before the old one stops
        max_constructor_retry_count=3,
        health_check_period_s=10,
        health_check_timeout_s=30,
        ray_actor_options={"num_cpus": cpus},
    )
    return deployment.bind(registry, reference, engine, limits, cpus)
