"""Cloudflare's route patterns, such as `*.example.com/api/*`.

The rules are those of Cloudflare's documentation (Workers, Configuration, Routes, "Matching behavior" and
"Validity"): the only operator is `*`, allowed at the start of the host and at the end of the path; a scheme is
optional; a host without a path stands for the path `/`; the query string takes part in the match, but a pattern
cannot hold one; paths are case-sensitive. Patterns are not limited to a zone here: `*example.com/*` matches
`example.com`, its subdomains and `notexample.com`, and a request's port is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEMES = ("http", "https")
HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.:[]")

UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
SLASHES = re.compile("//+")


@dataclass(frozen=True, slots=True)
class Route:
    """One parsed pattern."""

    scheme: str
    host: str
    any_host_before: bool
    subhosts_only: bool
    path: str
    any_path_after: bool

    def matches(self, scheme: str, host: str, target: str) -> bool:
        """Return whether a request matches this route.

        Args:
            scheme: `http` or `https`.
            host: the host name that the client asked for, lower-case, without a port.
            target: path and query string.
        """
        return self.scheme in ("", scheme) and self._host_matches(host) and self._target_matches(target)

    def _host_matches(self, host: str) -> bool:
        if self.subhosts_only:
            return host.endswith(self.host) and len(host) > len(self.host)
        return host.endswith(self.host) if self.any_host_before else host == self.host

    def _target_matches(self, target: str) -> bool:
        return target.startswith(self.path) if self.any_path_after else target == self.path


def parse(pattern: str) -> Route:
    """Parse one pattern.

    Raises:
        ValueError: Cloudflare would not accept it; the text says why.
    """
    scheme, rest = _split_scheme(pattern.strip())
    host, slash, path = rest.partition("/")
    path = slash + path or "/"
    _check_path(path)
    name = _check_host(host.lower())
    return Route(
        scheme=scheme,
        host=name,
        any_host_before=host.startswith("*"),
        subhosts_only=host.startswith("*."),
        path=path.removesuffix("*"),
        any_path_after=path.endswith("*"),
    )


def any_matches(routes: tuple[Route, ...], scheme: str, host: str, target: str) -> bool:
    """Return whether a request matches one of the routes; without routes, every request does."""
    return not routes or any(route.matches(scheme, host, target) for route in routes)


def plain(target: str) -> str:
    """Return a target as servers commonly read it: without doubled slashes and needless escapes.

    Those are the unreserved ones of RFC 3986, section 2.3; Cloudflare normalizes URLs alike before it matches routes.
    """
    path, mark, query = target.partition("?")
    return SLASHES.sub("/", ESCAPE.sub(_unescape, path)) + mark + query


def _unescape(escape: re.Match[str]) -> str:
    char = chr(int(escape[1], 16))
    return char if char in UNRESERVED else escape[0]


def host_name(authority: str) -> str:
    """Return the host of a `Host` header or `:authority`: lower-case, without a port or a root dot."""
    host = authority.partition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]
    return host.lower().removesuffix(".")


def _split_scheme(pattern: str) -> tuple[str, str]:
    scheme, mark, rest = pattern.partition("://")
    if not mark:
        return "", pattern
    if scheme.lower() not in SCHEMES:
        raise ValueError(f"the scheme must be http or https, not {scheme!r}")
    return scheme.lower(), rest


def _check_host(host: str) -> str:
    if host in ("", "*."):
        raise ValueError("it names no host; write */PATH to mean every host")
    name = host.removeprefix("*")
    if "*" in name:
        raise ValueError("a host may contain * only at its start")
    if not set(name) <= HOST_CHARACTERS:
        raise ValueError(f"{host!r} is not a host name")
    if host_name(name) not in (name, name.removesuffix(".")):
        raise ValueError("a pattern cannot contain a port; requests to any port match")
    return name.removesuffix(".")


def _check_path(path: str) -> None:
    if "*" in path[:-1]:
        raise ValueError("a path may contain * only at its end")
    if "?" in path or "#" in path:
        raise ValueError("a pattern cannot contain a query string; end the path with * to match any")
