"""What is served on a cluster: our applications, their addresses, and taking them away."""

import re
import time
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from fer_ray.errors import ServingError
from fer_ray.ray_connection import token_place
from fer_ray.serving.cluster import Connection, connect, stop_cluster

#: Every application of ours is called so, followed by the model's name; others are never touched.
APPLICATION_PREFIX = "fer-ray."


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
    cluster: Connection

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
        """Stops a cluster that `deploy` started, with all that it serves; else only disconnects."""
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


def status(address: str | None = "auto") -> list[EndpointStatus]:
    """Our applications on a running cluster; none where Serve does not run.

    Raises:
        ClusterError: If the cluster does not answer.
        ServingError: If this process is connected to another one.
    """
    cluster = connect(address)
    try:
        details = serve_details()
    finally:
        stop_cluster(cluster)
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
        ClusterError: If the cluster does not answer.
        ServingError: If `name` is not served there, or this process is connected to another cluster.
    """
    cluster = connect(address)
    try:
        return _stop(name)
    finally:
        stop_cluster(cluster)


def _stop(name: str | None) -> list[str]:
    from ray import serve

    ours = sorted(found for found in serve_details()["applications"] if found.startswith(APPLICATION_PREFIX))
    chosen = [found for found in ours if name in (None, found.removeprefix(APPLICATION_PREFIX))]
    if name is not None and not chosen:
        served = ", ".join(found.removeprefix(APPLICATION_PREFIX) for found in ours) or "none"
        raise ServingError(f"model {name!r}", "must be served on this cluster", f"served: {served}")
    for application in chosen:
        serve.delete(application, _blocking=False)
    _wait_until_gone(set(chosen))
    # Asked anew: draining takes long enough for somebody to deploy.
    if chosen and not serve_details()["applications"]:
        serve.shutdown()
    return chosen


def _wait_until_gone(applications: set[str], timeout_s: float = 180) -> None:
    """Waits while replicas drain: 30 s by Ray's default, and their longest request."""
    deadline = time.monotonic() + timeout_s
    while left := applications & set(serve_details()["applications"]):
        if time.monotonic() > deadline:
            raise ServingError(", ".join(sorted(left)), f"must stop within {timeout_s:g} s")
        time.sleep(0.2)


def last_reason(text: str) -> str:
    """The sentence of the last exception in a replica's traceback, without its full stop."""
    found = re.findall(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip()]
    return (found[-1] if found else lines[-1] if lines else "no reason given").strip().rstrip(".")


def serve_details() -> dict[str, Any]:
    """What Serve runs, without starting it; Serve has no public call for its address."""
    from ray.serve._private.api import _get_global_client
    from ray.serve.exceptions import RayServeException

    try:
        details: dict[str, Any] = _get_global_client().get_serve_details()
    except RayServeException:
        return {"applications": {}}
    return details


def _status_of(name: str, application: dict[str, Any], host: str, port: int) -> EndpointStatus:
    url = endpoint_url(host, port, application.get("route_prefix") or "/")
    state = _text(application["status"])
    messages = [application["message"]]
    counts: dict[str, int] = {}
    for deployment in application["deployments"].values():
        messages.append(deployment["message"])
        for replica in deployment["replicas"]:
            counts[_text(replica["state"])] = counts.get(_text(replica["state"]), 0) + 1
    return EndpointStatus(
        application=name,
        status=state,
        url=url,
        model=_served_model(url),
        replicas=counts,
        message="" if state == "RUNNING" else last_reason("\n".join(messages)),
    )


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def _served_model(url: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/model", timeout=2)
        body = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
    return f"{body['name']}:{body['version']}"


def endpoint_url(host: str, port: int, route: str) -> str:
    """The address for a client on this machine."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://{shown}:{port}{route.rstrip('/')}"
