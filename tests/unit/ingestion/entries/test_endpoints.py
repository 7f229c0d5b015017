"""What an endpoint's entries come to, in the order in which it is shown."""

from __future__ import annotations

from akto_mirror.ingestion.entries.auth import Auth
from akto_mirror.ingestion.entries.endpoints import MAX_SAMPLES, Endpoint
from akto_mirror.ingestion.entries.sensitive import Sensitive


def test_kinds_of_authentication_come_by_frequency() -> None:
    """Each kind counts once for an entry, and an entry without any counts as `none`."""
    made = Endpoint(0, "h", "GET", "/")
    made.auth = {
        (): 1,
        (Auth("bearer", "header", "authorization"), Auth("bearer", "cookie", "token")): 3,
        (Auth("key", "header", "x-api-key"),): 2,
    }
    assert made.auth_kinds == ["bearer", "key", "none"]


def test_kinds_of_sensitive_values_come_once() -> None:
    """In the order of their appearance, wherever they were found."""
    made = Endpoint(0, "h", "GET", "/")
    found = [Sensitive(kind, place, "x") for kind, place in (("email", "query"), ("card", "query"), ("email", "path"))]
    made.sensitive = dict.fromkeys(found, 1)
    assert made.sensitive_kinds == ["email", "card"]


def test_endpoints_are_sorted_by_host_path_and_method() -> None:
    """As the list shows them; of each, the newest samples are kept."""
    made = [
        Endpoint(0, *each) for each in (("b", "GET", "/a"), ("a", "PUT", "/b"), ("a", "GET", "/b"), ("a", "PUT", "/a"))
    ]
    assert [(each.host, each.path, each.method) for each in sorted(made)] == [
        ("a", "/a", "PUT"), ("a", "/b", "GET"), ("a", "/b", "PUT"), ("b", "/a", "GET")
    ]  # fmt: skip
    made[0].samples.extend(range(MAX_SAMPLES + 1))
    assert list(made[0].samples) == list(range(1, MAX_SAMPLES + 1))
