"""Putting a registered model behind an endpoint, looking at it, taking it away."""

import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from fer_ray.errors import ServingError
from fer_ray.progress import Progress, no_progress
from fer_ray.registry.store import Registry
from fer_ray.serving.cluster import (
    Cluster,
    check_cluster,
    connect,
    start_cluster,
    stop_cluster,
    token_place,
)
from fer_ray.serving.engines import choose_engine
from fer_ray.serving.limits import Limits

#: Every application of ours is called so, followed by the model's name; others are never touched.
APPLICATION_PREFIX = "fer-ray."
_REQUEST_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A model behind an address.

    Attributes:
        url: Of the endpoint; images go to `url`/predict.
        model: ``name:version`` that it answers with.
        engine: What computes the answers.
        application: Its name on Ray Serve.
        cluster: Where it runs; `Endpoint.close` stops it where this process started it.
    """

    url: str
    model: str
    engine: str
    application: str
    cluster: Cluster

    @property
    def docs_url(self) -> str:
        """The OpenAPI page."""
        return f"{self.url}/docs"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the addresses that a person looks for."""
        return {
            "url": self.url,
            "docs_url": self.docs_url,
            "model": self.model,
            "engine": self.engine,
            "application": self.application,
            "ray_address": self.cluster.address,
            "dashboard_url": self.cluster.dashboard_url,
            "dashboard_token": token_place(),
        }

    def close(self) -> None:
        """Stops a cluster that this process started, with all that it serves; else only disconnects."""
        stop_cluster(self.cluster)


@dataclass(frozen=True, kw_only=True)
class EndpointStatus:
    """One application of ours on a cluster.

    Attributes:
        status: Ray Serve's word: DEPLOYING, RUNNING, UNHEALTHY, DEPLOY_FAILED, DELETING.
        model: ``name:version`` that answers now; None where the endpoint is not reachable from here.
        replicas: Replica state to count.
    """

    application: str
    status: str
    url: str
    model: str | None
    replicas: dict[str, int]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


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
        if cluster.is_own:
            stop_cluster(cluster)
        raise
    return Endpoint(
        url=_url(host, port, route),
        model=found.reference,
        engine=chosen,
        application=name,
        cluster=cluster,
    )


def status(address: str | None = "auto") -> list[EndpointStatus]:
    """Our applications on a running cluster; none where Serve does not run.

    Raises:
        ServingError: If the cluster does not answer.
    """
    connect(address)
    details = _serve_details()
    options = details.get("http_options") or {}
    return [
        _status_of(name, application, str(options.get("host", "")), int(options.get("port", 0)))
        for name, application in sorted(details["applications"].items())
        if name.startswith(APPLICATION_PREFIX)
    ]


def stop(name: str | None = None, *, address: str | None = "auto") -> list[str]:
    """Takes our applications off a running cluster, each once its requests are answered.

    Serve itself stops when no application, of ours or of others, is left.

    Args:
        name: A model's name; by default all of ours.
        address: Of the cluster.

    Returns:
        The applications that were stopped.

    Raises:
        ServingError: If the cluster does not answer, or `name` is not served there.
    """
    connect(address)
    from ray import serve

    there = set(_serve_details()["applications"])
    ours = sorted(found for found in there if found.startswith(APPLICATION_PREFIX))
    chosen = [found for found in ours if name in (None, found.removeprefix(APPLICATION_PREFIX))]
    if name is not None and not chosen:
        served = ", ".join(found.removeprefix(APPLICATION_PREFIX) for found in ours) or "none"
        raise ServingError(f"model {name!r}", "must be served on this cluster", f"served: {served}")
    for application in chosen:
        serve.delete(application)
    if chosen and not there - set(chosen):
        serve.shutdown()
    return chosen


def _cluster(address: str | None, host: str, port: int) -> Cluster:
    """Ray is not imported before the environment is prepared."""
    connected = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    return connect(address) if address or connected else start_cluster(host, port)


def _start_serve(host: str, port: int) -> None:
    """Starts Serve, or makes sure that the Serve that runs listens where we say."""
    from ray import serve

    running = (_serve_details().get("http_options")) or {}
    if running and (running["host"], running["port"]) != (host, port):
        listening = f"{running['host']}:{running['port']}"
        remedy = f"Use --host {running['host']} --port {running['port']}, or stop what it serves"
        raise ServingError("Ray Serve", f"runs already at {listening}", f"{host}:{port}", remedy)
    options = {"host": host, "port": port, "request_timeout_s": _REQUEST_TIMEOUT_S}
    serve.start(http_options=options, logging_config={"enable_access_log": False})


def _run(application: Any, name: str, route: str, timeout_s: float, progress: Progress) -> None:
    """Deploys, and waits until the replicas are healthy and HAProxy routes to them."""
    from ray import serve
    from ray.exceptions import RayError

    target = serve.RunTarget(target=application, name=name, route_prefix=route)
    try:
        serve.run_many([target], wait_for_applications_running=False)
    except (RayError, serve.exceptions.RayServeException) as error:
        raise ServingError(f"application {name}", "must be deployable", _reason(str(error))) from error
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < timeout_s:
        progress("start replicas", round(elapsed), round(timeout_s))
        found = serve.status()
        overview = found.applications[name]
        if overview.status == "DEPLOY_FAILED":
            raise ServingError(f"application {name}", "must start", _reason(_messages(overview)))
        proxies = {proxy.value for proxy in found.proxies.values()}
        if overview.status == "RUNNING" and proxies == {"HEALTHY"}:
            progress("start replicas", round(timeout_s), round(timeout_s))
            return
        time.sleep(0.2)
    rule = f"must be healthy within {timeout_s:g} s"
    raise ServingError(f"application {name}", rule, f"{overview.status}, proxies {sorted(proxies)}")


def _messages(overview: Any) -> str:
    return "\n".join([overview.message, *(part.message for part in overview.deployments.values())])


def _reason(text: str) -> str:
    """The sentence of the exception at the end of a replica's traceback."""
    found = re.findall(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip()]
    return (found[-1] if found else lines[-1] if lines else "no reason given").strip()


def _serve_details() -> dict[str, Any]:
    """What Serve runs, without starting it; Serve has no public call for its address."""
    from ray.serve._private.api import _get_global_client
    from ray.serve.exceptions import RayServeException

    try:
        details: dict[str, Any] = _get_global_client().get_serve_details()
    except RayServeException:
        return {"applications": {}}
    return details


def _status_of(name: str, application: dict[str, Any], host: str, port: int) -> EndpointStatus:
    url = _url(host, port, application.get("route_prefix") or "/")
    counts: dict[str, int] = {}
    for deployment in application["deployments"].values():
        for replica in deployment["replicas"]:
            state = str(getattr(replica["state"], "value", replica["state"]))
            counts[state] = counts.get(state, 0) + 1
    return EndpointStatus(
        application=name,
        status=str(getattr(application["status"], "value", application["status"])),
        url=url,
        model=_served_model(url),
        replicas=counts,
        message=_reason(application["message"]) if application["message"] else "",
    )


def _served_model(url: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/model", timeout=2)
        body = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
    return f"{body['name']}:{body['version']}"


def _url(host: str, port: int, route: str) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://{shown}:{port}{route.rstrip('/')}"


def _absolute(registry: str | Path) -> str:
    """A replica has another working folder, so a local path is made absolute."""
    text = str(registry)
    return text if "://" in text else str(Path(text).expanduser().resolve())
