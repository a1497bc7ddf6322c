"""Putting a registered model behind an endpoint."""

import time
from pathlib import Path
from typing import Any

from fer_ray.errors import ServingError
from fer_ray.progress import Progress, no_progress
from fer_ray.ray_connection import is_connected
from fer_ray.registry.store import Registry
from fer_ray.serving.cluster import (
    Connection,
    check_cluster,
    connect,
    ingress_location,
    start_cluster,
    stop_cluster,
)
from fer_ray.serving.endpoints import (
    APPLICATION_PREFIX,
    Endpoint,
    EndpointStatus,
    endpoint_url,
    last_reason,
    serve_details,
    status,
    stop,
)
from fer_ray.serving.engines import choose_engine
from fer_ray.serving.limits import Limits

__all__ = ["Endpoint", "EndpointStatus", "deploy", "status", "stop"]
_REQUEST_TIMEOUT_S = 60


def deploy(
    reference: str,
    *,
    registry: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    replicas: int = 1,
    max_replicas: int | None = None,
    cpus: int = 1,
    engine: str = "default",
    address: str | None = None,
    route: str = "/",
    limits: Limits | None = None,
    timeout_s: float = 300,
    progress: Progress = no_progress,
) -> Endpoint:
    """Puts a model on Ray Serve, behind HAProxy, and waits until it answers.

    A version of the same model that is there already is replaced without a failed request.

    Args:
        reference: ``name``, ``name@alias`` or ``name:version``; resolved once, now.
        registry: Path or URI; a path must lead to the same folder on every node.
        host: Address that HAProxy and the replicas bind.
        port: Of the endpoint.
        replicas: How many; the least where `max_replicas` is higher and Serve scales with the load.
        max_replicas: The most; by default `replicas`.
        cpus: Cores per replica.
        engine: ``default`` is the manifest's own.
        address: Of a running Ray cluster (``auto``, host:port). Without it, the cluster that this process is
            connected to, and without one a local cluster that lives as long as this process.
        route: Path below which the application answers.
        limits: Of a request and of a replica's queue.
        timeout_s: Seconds until the replicas must be healthy.

    Raises:
        RegistryError: If the reference means no version.
        ServingError: If port, cluster, engine or replicas do not allow it.
    """
    where = _absolute(registry)
    found = Registry(where).resolve(reference)
    chosen = choose_engine(found.manifest, engine)
    progress("start Ray", 0, 1)
    cluster = _cluster(address, host, port)
    progress("start Ray", 1, 1)
    try:
        check_cluster(host, replicas * cpus)
        from fer_ray.serving.deployment import build_application

        application = build_application(
            registry=where,
            reference=found.reference,
            engine=chosen,
            limits=limits or Limits(),
            replicas=replicas,
            max_replicas=max_replicas or replicas,
            cpus=cpus,
        )
        name = APPLICATION_PREFIX + found.name
        _start_serve(host, port)
        _run(application, name, route, timeout_s, progress)
    except BaseException:
        stop_cluster(cluster)
        raise
    return Endpoint(
        url=endpoint_url(host, port, route),
        model=found.reference,
        engine=chosen,
        application=name,
        cluster=cluster,
    )


def _cluster(address: str | None, host: str, port: int) -> Connection:
    """Ray is not imported before the environment is prepared."""
    return connect(address) if address or is_connected() else start_cluster(host, port)


def _start_serve(host: str, port: int) -> None:
    """Starts Serve, or makes sure that the Serve that runs listens where we say."""
    from ray import serve

    running = (serve_details().get("http_options")) or {}
    if running and (running["host"], running["port"]) != (host, port):
        listening = f"{running['host']}:{running['port']}"
        remedy = f"Use --host {running['host']} --port {running['port']}, or stop what it serves"
        raise ServingError("Ray Serve", f"runs already at {listening}", f"{host}:{port}", remedy)
    options = {"host": host, "port": port, "request_timeout_s": _REQUEST_TIMEOUT_S}
    serve.start(
        proxy_location=ingress_location(), http_options=options, logging_config={"enable_access_log": False}
    )


def _run(application: Any, name: str, route: str, timeout_s: float, progress: Progress) -> None:
    """Deploys, and waits until the replicas are healthy and HAProxy routes to them."""
    from ray import serve
    from ray.exceptions import RayError

    is_new = name not in serve_details()["applications"]
    target = serve.RunTarget(target=application, name=name, route_prefix=route)
    try:
        serve.run_many([target], wait_for_applications_running=False)
        progress("start replicas", 0, 1)
        _wait_until_healthy(name, timeout_s)
        progress("start replicas", 1, 1)
    except (RayError, serve.exceptions.RayServeException) as error:
        reason = last_reason(str(error))
        raise ServingError(f"application {name}", "must be deployable", reason) from error
    except ServingError:
        if is_new:  # where a version served before, Serve keeps it
            serve.delete(name, _blocking=False)
        raise


def _wait_until_healthy(name: str, timeout_s: float) -> None:
    from ray import serve

    deadline = time.monotonic() + timeout_s
    while True:
        found = serve.status()
        overview = found.applications[name]
        if overview.status == "DEPLOY_FAILED":
            messages = [overview.message, *(part.message for part in overview.deployments.values())]
            raise ServingError(f"application {name}", "must start", last_reason("\n".join(messages)))
        proxies = sorted({proxy.value for proxy in found.proxies.values()})
        if overview.status == "RUNNING" and proxies == ["HEALTHY"]:
            return
        if time.monotonic() > deadline:
            received = f"{overview.status.value}, proxies {', '.join(proxies)}"
            raise ServingError(f"application {name}", f"must be healthy within {timeout_s:g} s", received)
        time.sleep(0.2)


def _absolute(registry: str | Path) -> str:
    """A replica has another working folder, so a local path is made absolute."""
    text = str(registry)
    return text if "://" in text else str(Path(text).expanduser().resolve())
