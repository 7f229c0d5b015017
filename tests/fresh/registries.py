"""Access to the package registries from this machine: variables, pip's configuration and certificates."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

# No local wheels and no configuration file, from which `from_pip` takes what matters.
PASSED = re.compile(
    r"(?:PIP|UV)_(?!FIND_LINKS|CONFIG_FILE|CONSTRAINT).*|npm_config_.*|\w+_proxy|\w+_PROXY"
    r"|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS"
)
OF_PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "client-cert", "timeout", "retries")
SETTING = re.compile(r"^(?:global|install|user|site)\.([a-z-]+)=(.*)$", re.MULTILINE)

# Debian's file of trusted authorities.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def variables(environ: Mapping[str, str], pip_configuration: str) -> dict[str, str]:
    """Return the environment for a program that uses the registries as this machine does.

    Args:
        environ: this machine's environment.
        pip_configuration: the output of `pip config list` here.
    """
    given = {name: value for name, value in environ.items() if PASSED.fullmatch(name)}
    # uv trusts its own authorities, unless it is set to trust the system's like pip.
    found = {"UV_SYSTEM_CERTS": "true"} | from_pip(pip_configuration) | given
    return {name: left for name, value in found.items() if (left := _without_folders(value))}


def from_pip(configuration: str) -> dict[str, str]:
    """Return the part of pip's configuration about access to an index, as variables."""
    found = {name: str(ast.literal_eval(value)) for name, value in SETTING.findall(configuration) if name in OF_PIP}
    return {f"PIP_{name.upper().replace('-', '_')}": value for name, value in found.items()}


def _without_folders(value: str) -> str:
    """Leave out indexes that are folders on this machine."""
    return " ".join(word for word in value.split(" ") if not word.startswith("file:"))


def files(settings: Mapping[str, str]) -> list[Path]:
    """Return the files that the variables name, and this machine's trusted authorities."""
    named = [*map(Path, settings.values()), AUTHORITIES]
    return [path for path in dict.fromkeys(named) if path.is_absolute() and path.is_file()]


def mirror(sources: Iterable[str], suite: str) -> str | None:
    """Return the mirror of a Debian suite from apt's sources, in either format."""
    for text in sources:
        for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^\s*#.*\n?", "", text)):
            if (found := _in_stanza(stanza, suite) or _in_lines(stanza, suite)) is not None:
                return found
    return None


def _in_stanza(text: str, suite: str) -> str | None:
    fields = {name.lower(): value.split() for name, value in re.findall(r"(?m)^([\w-]+):\s*(.*)$", text)}
    right = suite in fields.get("suites", ()) and "main" in fields.get("components", ())
    return next((uri for uri in fields.get("uris", ()) if right and _is_served(uri)), None)


def _in_lines(text: str, suite: str) -> str | None:
    found = re.findall(rf"(?m)^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+{re.escape(suite)}\s+.*\bmain\b", text)
    return next(filter(_is_served, found), None)


def _is_served(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))
