"""The presets of `akto_skip`: exchanges that say nothing about an API (pure).

`health`: a path whose last segment is one of `HEALTH_NAMES`, or a user agent that begins with one of `PROBES`.
`static`: a GET or HEAD whose path ends in one of `STATIC_TYPES`.
`options`: a CORS preflight: OPTIONS with `Origin` and `Access-Control-Request-Method` (fetch standard, 3.2.2).

Paths and user agents are compared case-insensitively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

# Last path segments of health checks: of Kubernetes, Spring Boot, ASP.NET Core and Consul, and by convention.
HEALTH_NAMES = frozenset(
    {"health", "healthz", "healthcheck", "health-check", "livez", "readyz", "liveness", "readiness", "ping", "alive"}
)

# Prefixes of the user agents of load balancers and probes, in lower case.
PROBES = (
    "kube-probe/",
    "elb-healthchecker/",
    "googlehc/",
    "google-hc/",
    "amazon-route53-health-check-service",
    "azure traffic manager",
    "load balancer agent",
    "consul health check",
    "haproxy/",
    "uptimerobot/",
    "pingdom.com_bot",
    "better uptime bot",
)

STATIC_TYPES = (
    *(".avif", ".bmp", ".css", ".eot", ".gif", ".htm", ".html", ".ico", ".jpeg", ".jpg", ".js", ".map", ".mjs"),
    *(".mp3", ".mp4", ".otf", ".pdf", ".png", ".svg", ".ttf", ".txt", ".wasm", ".webm", ".webp", ".woff", ".woff2"),
)


class Noise(StrEnum):
    """The presets."""

    HEALTH = "health"
    STATIC = "static"
    OPTIONS = "options"


Headers = Mapping[str, str]


def find(method: str, path: str, headers: Headers, presets: Iterable[Noise]) -> Noise | None:
    """Return the first of the presets that matches a request.

    Args:
        method: the request's method.
        path: its path without a query.
        headers: its headers, by lower-case names.
        presets: the presets that are set.
    """
    return next((preset for preset in presets if PREDICATES[preset](method, path, headers)), None)


def _is_health(method: str, path: str, headers: Headers) -> bool:
    del method
    name, agent = path.rstrip("/").rpartition("/")[2].lower(), headers.get("user-agent", "").lower()
    return name in HEALTH_NAMES or agent.startswith(PROBES)


def _is_static(method: str, path: str, headers: Headers) -> bool:
    del headers
    return method in ("GET", "HEAD") and path.lower().endswith(STATIC_TYPES)


def _is_preflight(method: str, path: str, headers: Headers) -> bool:
    del path
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


PREDICATES: dict[Noise, Callable[[str, str, Headers], bool]] = {
    Noise.HEALTH: _is_health,
    Noise.STATIC: _is_static,
    Noise.OPTIONS: _is_preflight,
}
