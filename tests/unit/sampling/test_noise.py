"""The presets of `akto_skip`, in full."""

from __future__ import annotations

import pytest

from akto_mirror.sampling.noise import HEALTH_NAMES, PROBES, STATIC_TYPES, Noise, find

PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "PUT"}


@pytest.mark.parametrize("name", sorted(HEALTH_NAMES))
def test_health_checks_by_path(name: str) -> None:
    """The last segment of the path decides, in any case."""
    assert find("GET", f"/api/{name.upper()}", {}, [Noise.HEALTH]) is Noise.HEALTH
    assert find("GET", f"/api/{name}/records", {}, [Noise.HEALTH]) is None
    assert find("GET", f"/api/my{name}", {}, [Noise.HEALTH]) is None


@pytest.mark.parametrize("agent", PROBES)
def test_health_checks_by_user_agent(agent: str) -> None:
    """The beginning of the user agent decides, in any case."""
    assert find("GET", "/orders", {"user-agent": agent.upper() + "1.30"}, [Noise.HEALTH]) is Noise.HEALTH
    assert find("GET", "/orders", {"user-agent": f"curl/8 {agent}"}, [Noise.HEALTH]) is None


@pytest.mark.parametrize("ending", STATIC_TYPES)
def test_static_files(ending: str) -> None:
    """The end of the path decides, for GET and HEAD only."""
    assert find("GET", f"/assets/app{ending.upper()}", {}, [Noise.STATIC]) is Noise.STATIC
    assert find("POST", f"/assets/app{ending}", {}, [Noise.STATIC]) is None


def test_preflights() -> None:
    """OPTIONS is a preflight with both headers; otherwise, it may be part of an API."""
    assert find("OPTIONS", "/orders", PREFLIGHT, [Noise.OPTIONS]) is Noise.OPTIONS
    assert find("OPTIONS", "/orders", {"origin": "https://app.example"}, [Noise.OPTIONS]) is None
    assert find("GET", "/orders", PREFLIGHT, [Noise.OPTIONS]) is None


def test_only_the_presets_that_are_set_count() -> None:
    """Without presets nothing is noise."""
    assert find("GET", "/healthz", {}, []) is None
    assert find("GET", "/healthz", {}, [Noise.STATIC, Noise.OPTIONS]) is None
