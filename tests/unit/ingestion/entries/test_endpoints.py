"""Properties of an endpoint, in the order in which they are shown."""

from __future__ import annotations

from akto_mirror.ingestion.entries.auth import Auth
from akto_mirror.ingestion.entries.endpoints import MAX_SAMPLES, Endpoint
from akto_mirror.ingestion.entries.sensitive import Sensitive


def test_kinds_of_authentication_come_by_frequency() -> None:
    """Each kind is counted once per entry, and an entry without authentication as `none`."""
    made = Endpoint(0, "h", "GET", "/")
    made.auth = {
        (): 1,
        (Auth("bearer", "header", "authorization"), Auth("bearer", "cookie", "token")): 3,
        (Auth("key", "header", "x-api-key"),): 2,
    }
    assert made.auth_kinds == ["bearer", "key", "none"]


def test_kinds_of_sensitive_values_come_once() -> None:
    """Kinds are listed in the order in which they were found, in any place."""
    made = Endpoint(0, "h", "GET", "/")
    found = [Sensitive(kind, place, "x") for kind, place in (("email", "query"), ("card", "query"), ("email", "path"))]
    made.sensitive = dict.fromkeys(found, 1)
    assert made.sensitive_kinds == ["email", "card"]


def test_endpoints_are_sorted_by_host_path_and_method() -> None:
    """Endpoints are sorted by host, path and method, and keep the newest samples."""
    made = [
        Endpoint(0, *each) for each in (("b", "GET", "/a"), ("a", "PUT", "/b"), ("a", "GET", "/b"), ("a", "PUT", "/a"))
    ]
    assert [(each.host, each.path, each.method) for each in sorted(made)] == [
        ("a", "/a", "PUT"), ("a", "/b", "GET"), ("a", "/b", "PUT"), ("b", "/a", "GET")
    ]  # fmt: skip
    made[0].samples.extend(range(MAX_SAMPLES + 1))
    assert list(made[0].samples) == list(range(1, MAX_SAMPLES + 1))
