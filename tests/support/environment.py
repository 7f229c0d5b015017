"""The environment of the processes that tests start: as bare as that of a user who has set nothing."""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from pathlib import Path

import certifi

# Where programs, the home directory and temporary files are, the language, and where the spool of a test is.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_STATE_HOME")

# What those who run the tests set for the tests themselves, and not for what they start.
OF_TESTS = ("PYTEST_", "CI", "DIFFERENTIAL_SEED", "EXPLORE", "MACHINE_EXAMPLES")


# What reaches a package registry: for tests that install a peer of theirs.
OF_REGISTRIES = re.compile(r"npm_config_.*|\w+_proxy|\w+_PROXY|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS")
_registries = {name: value for name, value in os.environ.items() if OF_REGISTRIES.fullmatch(name)}


def trust_few() -> None:
    """Have this process' HTTP clients know one public authority: to read all takes 20 ms each time, and none is met."""
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8", delete=False) as file:
        file.write(first)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    certifi.where = lambda: file.name


def for_registries() -> dict[str, str]:
    """Return an environment for a program that installs from a registry."""
    return bare() | _registries


def bare() -> dict[str, str]:
    """Return what is left of this process' environment for another."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}


def strip() -> None:
    """Leave nothing in this process' own environment that a test could depend on without knowing."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(OF_TESTS):
            del os.environ[name]
