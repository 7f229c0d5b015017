"""Gathers the report of `akto-mirror doctor`: versions, options and checks, without secrets.

Only the standard library is imported at module level: a missing dependency is one of the findings.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from akto_mirror.escaping import printable

PACKAGE = "akto-mirror"

# Variables that affect the addon, besides those of its options; none of them contains a secret.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_STATE_HOME", "PYTHONPATH")

# Seconds for a start of mitmdump that only loads the addon.
LOAD_S = 60.0

SOURCE = Path(__file__).resolve().parents[2]
INSTALLABLE = f'"{SOURCE}"' if (SOURCE / "pyproject.toml").is_file() else PACKAGE
REINSTALL = f'install it again: "{sys.executable}" -m pip install {INSTALLABLE}'


class Findings:
    """Writes the findings, and remembers whether one of them is an error.

    Args:
        say: takes one line of the report.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.ok = True
        self.say = say

    def head(self, title: str) -> None:
        """Begin a section of the report."""
        self.say(f"\n{title}")

    def note(self, name: str, detail: str) -> None:
        """Write a neutral finding."""
        self.say(f"  {name:<24} {printable(detail, 300)}".rstrip())

    def good(self, name: str, detail: str) -> None:
        """Write a check that passed."""
        self.say(f"✓ {name:<24} {printable(detail, 300)}".rstrip())

    def bad(self, name: str, detail: str, step: str) -> None:
        """Write a check that failed, and the remedy."""
        self.ok = False
        self.say(f"✗ {name:<24} {printable(detail, 300)}\n{'':<26} → {printable(step, 300)}")


class Way(NamedTuple):
    """The connection to Akto, as given on the command line.

    Attributes:
        url: the ingestion service to check; empty takes the configured one.
        token: the token to send, which is never shown; empty takes the configured one.
    """

    url: str
    token: str


def run(way: Way, script: Path, processes: int, say: Callable[[str], None], environ: Mapping[str, str]) -> bool:
    """Write the report, and return whether nothing is wrong.

    Args:
        way: the connection to Akto.
        script: the addon's script.
        processes: the number of processes that share the limits.
        say: writes a line of the report.
        environ: environment variables.
    """
    found = Findings(say)
    say(f"{PACKAGE} {metadata.version(PACKAGE)} in {printable(str(Path(__file__).parents[1]))}")
    _machine(found)
    _dependencies(found)
    values = _options(found, environ)
    _spool(found, values, environ)
    _processes(found, values, environ, processes)
    _programs(found, script)
    url = way.url or str(values.get("akto_url") or "") or environ.get("AKTO_DATA_INGESTION_URL", "")
    token = way.token or str(values.get("akto_token") or "") or environ.get("AKTO_API_TOKEN", "")
    _way(found, url, token, values, environ)
    return found.ok


def _machine(found: Findings) -> None:
    found.head("machine")
    found.note("Python", f"{platform.python_version()} at {sys.executable}")
    found.note("platform", platform.platform())
    found.note("OpenSSL", ssl.OPENSSL_VERSION)


def _dependencies(found: Findings) -> None:
    found.head("packages")
    for requirement in metadata.requires(PACKAGE) or ():
        wanted, _, marker = requirement.partition(";")
        name, oldest = re.findall(r"[\w.-]+", wanted)[:2]
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            if _applies(marker):
                found.bad(name, "missing", REINSTALL)
            continue
        if _numbers(version) < _numbers(oldest):
            found.bad(name, f"{version} is too old, {oldest} or newer is needed", REINSTALL)
        else:
            found.good(name, version)


def _applies(marker: str) -> bool:
    """Return whether a requirement is for this machine, by its marker: the comparisons of PEP 508 that ours consist of.

    `packaging` reads any marker, but nothing that is always installed brings it along.
    """
    known = {"sys_platform": sys.platform, "platform_machine": platform.machine(), "extra": ""}

    def holds(comparison: str) -> bool:
        name, operator, value = comparison.split()
        return (known[name] == value.strip("\"'")) == (operator == "==")

    return not marker or any(all(map(holds, each.split(" and "))) for each in marker.split(" or "))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _options(found: Findings, environ: Mapping[str, str]) -> dict[str, Any]:
    file = Path(environ.get("MITMPROXY_CONFDIR") or Path.home() / ".mitmproxy") / "config.yaml"
    found.head(f"options, from {file} and the environment")
    for name in VARIABLES:
        if environ.get(name):
            found.note(name, environ[name])
    try:
        values = _configured(file)
        _show_options(found, values, environ)
        _check_options(found, values, environ)
    except ImportError as error:
        found.bad("options", f"{error}", REINSTALL)
    except (OSError, ValueError) as error:
        found.bad(file.name, str(error), "correct the file, or its permissions")
    else:
        return values
    return {}


def _configured(file: Path) -> dict[str, Any]:
    """Return the addon's options in mitmproxy's configuration file.

    Raises:
        ValueError: it is not a YAML mapping.
        OSError: it cannot be read.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - mitmproxy's own dependency, which may be missing
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    if not file.exists():
        return {}
    try:
        given = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise ValueError(f"it is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(given, dict | None):
        raise ValueError("it must be lines of the form `option: value`")
    return {name: value for name, value in (given or {}).items() if str(name).casefold().startswith("akto")}


def _show_options(found: Findings, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    from akto_mirror.config import declarations  # noqa: PLC0415 - needs mitmproxy, which may be missing

    for name, value in values.items():
        found.note(str(name), _set_or_unset(value, declarations.shown_value(name, value)))
    for option in declarations.OPTIONS:
        if option.env and environ.get(option.env):
            value = environ[option.env]
            found.note(option.env, _set_or_unset(value, declarations.shown_value(option.name, value)))


def _set_or_unset(value: object, shown: str) -> str:
    """Return the value as shown, or for a secret only whether it is set."""
    return shown if shown != "(hidden)" else "set" if value else "unset"


def _check_options(found: Findings, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    from akto_mirror.config import declarations, mistakes, options  # noqa: PLC0415 - see above

    found_wrong = [str(mistake) for mistake in mistakes.find({}, values)]
    if not found_wrong:
        try:
            options.read({option.name: option.default for option in declarations.OPTIONS} | dict(values), environ)
        except declarations.ConfigError as error:
            found_wrong.append(str(error))
    for mistake in found_wrong:
        found.bad("option", mistake, "correct it; docs/options.md lists what each option takes")
    if not found_wrong:
        found.good("options", f"{len(values)} in the file, all usable")


def _spool(found: Findings, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Check that unsent entries can be stored on disk."""
    from akto_mirror import private_files  # noqa: PLC0415 - keeps the head to the standard library

    found.head("spool")
    if values.get("akto_durability") == "memory":
        return found.note("not used", "akto_durability is memory")
    try:
        folder = private_files.usable_spool_folder(str(values.get("akto_spool_dir") or ""), environ)
    except ValueError as error:
        return found.bad("spool", "the folder cannot be used", str(error))
    return found.good("spool", str(folder))


def _processes(found: Findings, values: Mapping[str, Any], environ: Mapping[str, str], processes: int) -> None:
    """Show the share of the limits that each process gets."""
    found.head(f"each process of `akto-mirror run --processes {processes}`")
    try:
        from akto_mirror.config import declarations, options  # noqa: PLC0415 - needs mitmproxy, which may be missing

        given = {option.name: option.default for option in declarations.OPTIONS} | dict(values)
        parts = options.parts(given, environ, processes)
    except (ImportError, ValueError):
        return found.note("not shown", "the options cannot be read; see above")
    for name, (part, whole) in parts.items():
        found.note(name, f"{part:,} of {whole:,}" if whole else "no limit")
    return found.note("akto_spool_bytes", f"{given['akto_spool_bytes']:,}, shared by all")


def _programs(found: Findings, script: Path) -> None:
    found.head("mitmproxy with the addon")
    found.note("addon", str(script))
    beside = Path(sysconfig.get_path("scripts")) / "mitmdump"
    on_path = shutil.which("mitmdump")
    if on_path is None:
        found.note("mitmdump on the PATH", f"none; start {beside}")
    elif Path(on_path).resolve() != beside.resolve():
        found.bad("mitmdump on the PATH", f"{on_path} belongs to another installation", f"start {beside} instead")
    else:
        found.good("mitmdump on the PATH", on_path)
    _load(found, beside, script)


def _load(found: Findings, mitmdump: Path, script: Path) -> None:
    try:
        done = _start(mitmdump, script)
    except (OSError, subprocess.SubprocessError) as error:
        found.bad("addon loads", f"no: {error}", REINSTALL)
        return
    if done.returncode == 0:
        found.good("addon loads", f"in {mitmdump}")
    else:
        said = (done.stdout.strip() or done.stderr.strip() or f"mitmdump ended with {done.returncode}").splitlines()
        found.bad("addon loads", f"no: {said[-1]}", REINSTALL)


def _start(mitmdump: Path, script: Path) -> subprocess.CompletedProcess[str]:
    """Start mitmdump without a listener, flows or options, so that it loads the addon and exits."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AKTO_")}
    with tempfile.TemporaryDirectory() as folder:
        command = [str(mitmdump), "--set", f"confdir={folder}", "-s", str(script), "-nr", os.devnull]
        return subprocess.run(  # noqa: S603 - the program beside this Python, its arguments fixed
            command, env=kept, capture_output=True, text=True, errors="replace", timeout=LOAD_S, check=False
        )


def _way(found: Findings, url: str, token: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    found.head("connection to Akto")
    if urlsplit(url).scheme == "file":
        return found.note("not checked", "entries go to a file")
    try:
        from akto_mirror.config import option_values  # noqa: PLC0415 - needs mitmproxy, which may be missing
        from akto_mirror.diagnostics import checks  # noqa: PLC0415 - needs httpx, which may be missing

        option_values.token(token)
        uds = str(values.get("akto_uds") or "")
        target = checks.target_at(url, values.get("akto_kafka") or (), environ, uds=uds, token=token)
        if target is None:
            return found.note("not checked", "give --to http://HOST:9091")
        steps = [checks.show(step, found.say) for step in checks.run(target, send=False)]
    except ImportError as error:
        found.bad("not checked", str(error), REINSTALL)
    except ValueError as error:
        found.bad("not checked", str(error), "correct the address or the token")
    else:
        found.ok = found.ok and all(step.ok for step in steps)
    return None
