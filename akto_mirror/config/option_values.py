"""Parsers of option values. All raise a `ValueError` that says what is wrong and what is expected."""

from __future__ import annotations

import json
import re
import socket as sockets
from collections.abc import Mapping
from pathlib import Path

from mitmproxy import flowfilter

from akto_mirror.akto_api import is_number
from akto_mirror.capture.config import Noise
from akto_mirror.escaping import printable

# An environment variable in a tag; pods get their names from such variables.
ENV = re.compile(r"\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def listener(address: str) -> tuple[str, int] | None:
    """Return the host and port to listen on; None for an empty string."""
    if not address:
        return None
    host, mark, port = address.rpartition(":")
    if not (mark and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:9464")
    return host.removeprefix("[").removesuffix("]"), int(port)


def socket(path: str) -> str:
    """Return the path of a Unix socket, which need not exist yet."""
    if path and not hasattr(sockets, "AF_UNIX"):
        raise ValueError("this system has no Unix sockets; leave it empty, and name a host and a port in akto_url")
    if path and not Path(path).parent.is_dir():
        raise ValueError(f"the folder {Path(path).parent} does not exist; start the service that listens there first")
    if path and Path(path).is_dir():
        raise ValueError("it is a folder; name the socket in it")
    return path


def token(text: str) -> str:
    """Return a token, which must be valid as a header's value."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a token consists of printable ASCII characters; check for a line break at its end")
    return text


def header_name(name: str) -> str:
    """Return a header's name in lower case; by RFC 9110, section 5.6.2, it is a token."""
    if not all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in name):
        raise ValueError("it is not a header's name")
    return name.lower()


def host(text: str) -> str:
    """Return a host name in the form in which it is reported."""
    if not text.isprintable() or not set(text).isdisjoint(" /?#@"):
        raise ValueError("it must be a host name such as api.example.com, without scheme and path")
    return text


def noise(text: str) -> tuple[Noise, ...]:
    """Return the presets in a comma-separated list."""
    try:
        return tuple(Noise(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError(f"it must be one of {', '.join(Noise)}") from None


def whole_number(text: str) -> str:
    """Return a string that Akto reads as a whole number."""
    if not is_number(text):
        raise ValueError(
            "it must be a whole number such as 1000000 of at most 32 bits: Akto loses every entry with any other value"
        )
    return text


def content_types(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, in lower case."""
    found = tuple(part for item in text.lower().split(",") if (part := item.strip()))
    if not found:
        raise ValueError("it must name what content types contain, such as json,xml")
    return found


def tag(text: str, environ: Mapping[str, str]) -> str:
    """Return the text of a JSON object of strings, with `{env:NAME}` in its values replaced."""
    try:
        parsed = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError('it must be a JSON object such as {"service": "mitmproxy"}')
    for name, value in parsed.items():
        if not isinstance(value, str | None):
            raise ValueError(
                f"the value of {printable(name, 80)} must be a string: Akto loses every entry with any other value"
            )
    filled = {
        name: value and ENV.sub(lambda found: _variable(found[1], environ), value) for name, value in parsed.items()
    }
    return text if filled == parsed else json.dumps(filled, ensure_ascii=False)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ValueError(f"there is no variable {name} in the environment")
    return environ[name]


def _no_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's parser accepts and JSON does not have."""
    raise ValueError(name)


def flow_filter(expression: str) -> flowfilter.TFilter | None:
    """Return mitmproxy's filter; None for an empty string."""
    if not expression:
        return None
    try:
        parsed = flowfilter.parse(expression)
    except Exception as error:
        raise ValueError(
            f"it is not a flow filter ({printable(str(error), 80)}); see mitmproxy's help on filters"
        ) from error
    if _looks_at_bodies(parsed):
        raise ValueError("~b, ~bq and ~bs cannot be used: mitmproxy decodes bodies for them without a limit")
    return parsed


def _looks_at_bodies(part: object) -> bool:
    """Return whether a parsed filter looks at bodies: AND and OR hold a list, NOT holds one item."""
    if isinstance(part, flowfilter.FBod | flowfilter.FBodRequest | flowfilter.FBodResponse):
        return True
    return any(
        map(_looks_at_bodies, getattr(part, "lst", [getattr(part, "itm", None)] if hasattr(part, "itm") else []))
    )
