"""Route patterns match as documented by Cloudflare (Workers, Configuration, Routing, Routes)."""

from __future__ import annotations

import pytest

from akto_mirror.capture.routes import any_matches, host_name, parse

# Pattern, URL as scheme, host and target, and whether they match.
DOCUMENTED = [
    ("https://*.example.com/images/*", "https www.example.com /images/cat.png", True),
    ("https://*.example.com/images/*", "http www.example.com /images/cat.png", False),
    ("https://*.example.com/images/*", "https example.com /images/cat.png", False),
    ("https://*.example.com/images/*", "https www.example.com /image", False),
    ("*example.com/*", "http example.com /", True),
    ("*example.com/*", "https a.b.example.com /x?y=z", True),
    ("*example.com/images/*", "https example.com /images/cat.png?foo=bar", True),
    ("*example.com/images/cat.png", "https example.com /images/cat.png?foo=bar", False),
    ("*example.com/images/cat.png", "https example.com /images/cat.png", True),
    ("example.com", "http example.com /", True),
    ("example.com", "https example.com /", True),
    ("example.com", "https example.com /a", False),
    ("example.com", "https example.com /?a", False),
    ("example.com/", "https example.com /", True),
    ("example.com", "https www.example.com /", False),
    ("https://*.example.com/", "https www.example.com /", True),
    ("https://*.example.com/", "http www.example.com /", False),
    ("*.example.com/", "https www.example.com /", True),
    ("*.example.com/", "http www.example.com /", True),
    ("*.example.com/", "https example.com /", False),
    ("*example.com/", "https example.com /", True),
    ("*example.com/", "https www.example.com /", True),
    # The page's table says that the second of these does not match, but its text says that `*` matches anything.
    ("*example.com/*", "https myexample.com /", True),
    ("*example.com/*", "https not-example.com /", True),
    ("*.example.com/*", "https myexample.com /", False),
    ("*.example.com/*", "https www.example.com /path", True),
    ("https://example.com/path*", "https example.com /path", True),
    ("https://example.com/path*", "https example.com /path2", True),
    ("https://example.com/path*", "https example.com /path/readme.txt", True),
    ("https://example.com/path*", "https example.com /pat", False),
    ("https://example.com/path*", "https example.com /path?q", True),
    ("example.com/Images/*", "https example.com /images/a", False),
    ("Example.COM/images/*", "https example.com /images/a", True),
]

OWN = [
    ("*/*", "http anything.test /at/all?x", True),
    ("*/api/*", "http anything.test /api/x", True),
    ("*/api/*", "http anything.test /api", False),
    ("*", "http anything.test /", True),
    ("*", "http anything.test /a", False),
    ("HTTPS://example.com/*", "https example.com /", True),
    ("http://example.com/*", "http example.com /", True),
    ("http://example.com/*", "https example.com /", False),
    (" example.com/* ", "https example.com /", True),
    ("example.com./*", "https example.com /", True),
    ("[::1]/*", "http [::1] /a", True),
    ("[2001:DB8::1]/*", "http [2001:db8::1] /a", True),
    ("127.0.0.1/*", "http 127.0.0.1 /a", True),
    ("*.0.0.1/*", "http 127.0.0.1 /a", True),
    ("my_host-1/*", "http my_host-1 /", True),
    ("*.example.com/*", "http .example.com /", False),
    ("*.example.com/*", "http evil.com /?.example.com/", False),
    ("example.com/*", "http example.com.evil.test /", False),
    ("*example.com/*", "http example.com.evil.test /", False),
    ("example.com/a/*", "http example.com /a/../b", True),
]


@pytest.mark.parametrize(("pattern", "url", "expected"), DOCUMENTED + OWN)
def test_matching(pattern: str, url: str, expected: bool) -> None:
    """Scheme, host and path are matched separately, and the query string is part of the path."""
    scheme, host, target = url.split(" ")
    assert parse(pattern).matches(scheme, host, target) is expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "names no host"),
        ("/path", "names no host"),
        ("https://", "names no host"),
        ("*.", "names no host"),
        ("*./a", "names no host"),
        ("example.com/*.jpg", "only at its end"),
        ("example.com/a/*/b*", "only at its end"),
        ("example.com/**", "only at its end"),
        ("example.com/?foo=*", "query string"),
        ("https://example.com/?anything", "query string"),
        ("example.com/a#b", "query string"),
        ("*example.*/*", "only at its start"),
        ("www.*.example.com/*", "only at its start"),
        ("**.example.com/*", "only at its start"),
        ("*.*.example.com/", "only at its start"),
        ("ftp://example.com/*", "http or https"),
        ("*://example.com/*", "http or https"),
        ("exa mple.com/*", "not a host name"),
        ("example.com\n/*", "not a host name"),
        ("user@example.com/*", "not a host name"),
        ("bücher.example/*", "not a host name"),
        ("example.com?x", "not a host name"),
        ("example.com:8443/*", "cannot contain a port"),
        ("*example.com:*", "only at its start"),
        ("[::1]:80/*", "cannot contain a port"),
        ("https://example.com:443", "cannot contain a port"),
        ("::1/*", "cannot contain a port"),
    ],
)
def test_what_cloudflare_would_not_accept_is_refused(pattern: str, problem: str) -> None:
    """Infix wildcards, query strings, other schemes and impossible hosts are refused, and the error says which."""
    with pytest.raises(ValueError, match=problem.replace("*", r"\*")):
        parse(pattern)


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("example.com", "example.com"),
        ("Example.COM:8443", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[FE80::1", "[fe80::1]"),
        ("", ""),
        (":80", ""),
        ("127.0.0.1:9", "127.0.0.1"),
    ],
)
def test_a_host_is_compared_without_port_case_and_root_dot(authority: str, name: str) -> None:
    """Host names are compared without case, port and trailing dot."""
    assert host_name(authority) == name


def test_one_route_of_several_is_enough_and_none_means_all() -> None:
    """One matching route is enough; without routes everything matches."""
    both = (parse("a.test/*"), parse("b.test/x"))
    assert any_matches(both, "http", "a.test", "/1")
    assert any_matches(both, "http", "b.test", "/x")
    assert not any_matches(both, "http", "b.test", "/y")
    assert any_matches((), "http", "c.test", "/")
