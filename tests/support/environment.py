"""The environment of the processes that tests start: as bare as for a user who has set nothing."""

from __future__ import annotations

import atexit
import os
import re
import socket
import tempfile
from pathlib import Path

import certifi

# Locations of programs, home directory, temporary files and the test's spool, and the language.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_STATE_HOME")

# Variables that are meant for the tests themselves, not for the processes that they start.
OF_TESTS = ("PYTEST_", "CI", "DIFFERENTIAL_SEED", "EXPLORE", "MACHINE_EXAMPLES")


# Variables for access to a package registry, for tests that install a peer.
OF_REGISTRIES = re.compile(r"npm_config_.*|\w+_proxy|\w+_PROXY|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS")
_registries = {name: value for name, value in os.environ.items() if OF_REGISTRIES.fullmatch(name)}


def trust_few() -> None:
    """Let this process's HTTP clients load one public authority: loading all takes 20 ms each time for no use."""
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
    """Return the part of this process's environment that other processes get."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}


def strip() -> None:
    """Remove everything from this process's environment that a test could depend on by accident."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(OF_TESTS):
            del os.environ[name]


def has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
