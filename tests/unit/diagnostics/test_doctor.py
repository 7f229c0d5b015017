"""The findings of `akto-mirror doctor`, for bug reports."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

import akto_mirror
from akto_mirror.cli.program import main
from akto_mirror.diagnostics import doctor
from akto_mirror.diagnostics.doctor import Findings, _options
from akto_mirror.ingestion.service import Receiver
from tests.support.kafka import UNKNOWN_TOPIC, MockCluster


@pytest.mark.parametrize(
    ("config", "finding"),
    [
        ("akto_body_limit: many\n", "akto_body_limit=many: it must be a whole number"),
        ("akto_bodylimit: 1\n", "no such option; did you mean akto_body_limit?"),
        ("akto_url: ftp://x\n", "akto_url=ftp://x: it must begin with http://, https://, file:// or kafka://"),
        ("- akto_url\n", "it must be lines of the form"),
        ("akto_url: [\n", "it is not YAML"),
    ],
)
def test_a_wrong_configuration_is_found(tmp_path: Path, config: str, finding: str) -> None:
    """The finding names the option and what it allows."""
    (tmp_path / "config.yaml").write_text(config)
    lines: list[str] = []
    found = Findings(lines.append)
    _options(found, {"MITMPROXY_CONFDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})
    assert not found.ok
    assert finding in "\n".join(lines)


def test_findings_are_lines_and_a_sum() -> None:
    """Only problems make the result an error; unprintable characters are escaped."""
    lines = list[str]()
    found = Findings(lines.append)
    found.head("machine")
    found.note("Python", "3.13")
    found.good("spool", "/a\x1b[2J")
    assert found.ok
    found.bad("httpx", "missing", "install it again")
    assert not found.ok
    assert lines == [
        "\nmachine",
        f"  {'Python':<24} 3.13",
        f"✓ {'spool':<24} /a\\x1b[2J",
        f"✗ {'httpx':<24} missing\n{'':<26} → install it again",
    ]


def test_an_unfit_spool_is_found(tmp_path: Path) -> None:
    """A wrong spool folder is found, with a hint; a spool that is not used is not checked."""
    lines = list[str]()
    found = Findings(lines.append)
    doctor._spool(found, {"akto_durability": "memory", "akto_spool_dir": "relative"}, {})
    doctor._spool(found, {"akto_spool_dir": str(tmp_path)}, {})
    assert found.ok
    doctor._spool(found, {"akto_spool_dir": "relative"}, {})
    assert not found.ok
    assert lines[-1].endswith("→ write an absolute path")


def test_versions_are_compared_by_their_numbers() -> None:
    """Versions are compared as numbers; a pre-release counts as its release."""
    assert doctor._numbers("12.3.1rc1") == (12, 3, 1)
    assert doctor._numbers("9.10") > doctor._numbers("9.9.9")


def test_an_address_that_is_a_file_has_no_way_to_check() -> None:
    """A file, or no address, is not checked; a wrong address is found."""
    lines = list[str]()
    found = Findings(lines.append)
    doctor._way(found, "file:///tmp/x", "", {}, {})
    doctor._way(found, "", "", {}, {})
    assert found.ok
    doctor._way(found, "ftp://h", "", {}, {})
    assert not found.ok
    assert [line.split()[0] for line in lines if line.startswith("  ")] == ["not", "not"]


def test_the_way_to_a_topic_is_checked() -> None:
    """The topic is found in the options or in Akto's variables, and no secret is shown; a missing topic is found."""
    lines = list[str]()
    found = Findings(lines.append)
    with MockCluster(1) as cluster:
        properties = {"akto_kafka": ["sasl.password=hunter2"]}
        doctor._way(found, "", "", properties, {"AKTO_KAFKA_BROKER_URL": cluster.brokers[0]})
        assert found.ok, lines
        cluster.set_topic_error(UNKNOWN_TOPIC)
        doctor._way(found, cluster.url, "", {}, {})
    assert not found.ok
    text = "\n".join(lines)
    assert "akto.api.logs, 3 partitions" in text
    assert "create the topic" in text
    assert "hunter2" not in text


def test_the_client_of_kafka_is_among_the_packages_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is optional: a missing one is not a finding, but one that is too old is."""
    lines = list[str]()
    found = Findings(lines.append)
    doctor._dependencies(found)
    assert f"✓ {'confluent-kafka':<24} {metadata.version('confluent-kafka')}" in lines
    version = metadata.version
    for answer in ("2.9.0", None):
        monkeypatch.setattr(metadata, "version", lambda name, given=answer: fake(version, name, given))
        found = Findings(lines.append)
        doctor._dependencies(found)
        assert found.ok == (answer is None)


def test_a_requirement_of_other_machines_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that its marker leaves out on this machine may be missing; if it is installed, its version counts."""
    requirements = [
        'none-here>=1; sys_platform != "linux" or platform_machine == "x86_64"',
        'none-there>=1; sys_platform == "linux" and extra == "x"',
        'httpx>=99; sys_platform == "none"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: requirements)
    for platform, machine, missing in (
        ("linux", "x86_64", ["none-here"]),
        ("linux", "riscv64", []),
        ("win32", "ARM64", ["none-here"]),
    ):
        monkeypatch.setattr(doctor, "sys", SimpleNamespace(platform=platform))
        monkeypatch.setattr(doctor, "platform", SimpleNamespace(machine=lambda machine=machine: machine))
        lines = list[str]()
        doctor._dependencies(Findings(lines.append))
        assert [line.split()[1] for line in lines if line.startswith("✗")] == [*missing, "httpx"]


def test_every_marker_of_this_package_is_understood() -> None:
    """What pyproject.toml says of other machines is read without `packaging`, and with the same result."""
    for requirement in map(Requirement, metadata.requires(doctor.PACKAGE) or ()):
        expected = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        assert doctor._applies(str(requirement.marker or "")) == expected


def test_a_checkout_is_installed_from_its_folder() -> None:
    """The advice names the folder with pyproject.toml; without one, it names the package."""
    root = Path(akto_mirror.__file__).parents[1]
    expected = f'"{root}"' if (root / "pyproject.toml").is_file() else "akto-mirror"
    assert doctor.REINSTALL.endswith(f" -m pip install {expected}")


@pytest.mark.parametrize(
    ("given", "configured", "variable", "sent"),
    [
        ("given1", "file2", "variable3", "given1"),
        ("", "file2", "variable3", "file2"),
        ("", "", "variable3", "variable3"),
        ("", "file2", "é", "file2"),
        ("", "", "é", None),
    ],
)
def test_the_token_is_that_of_the_addon(  # noqa: PLR0917 - pytest passes by name
    given: str, configured: str, variable: str, sent: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the addon, akto_token takes precedence over its variable; both give way to the command line."""
    (tmp_path / "config.yaml").write_text(f"akto_token: '{configured}'\nakto_durability: memory\n")
    monkeypatch.setattr(doctor, "_programs", lambda *_: None)
    lines = list[str]()
    with Receiver(token=sent or "x") as akto:
        environ = {"MITMPROXY_CONFDIR": str(tmp_path), "AKTO_API_TOKEN": variable, "AKTO_DATA_INGESTION_URL": akto.url}
        ok = doctor.run(doctor.Way("", given), tmp_path, 1, lines.append, environ)
    assert ok == (sent is not None), lines
    assert any("the token is accepted" in line for line in lines) == ok


@pytest.mark.parametrize("token", ["", "given1"])
def test_only_a_token_of_the_command_line_is_given(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is left to the report, which knows the file, too."""
    monkeypatch.setattr(doctor, "run", lambda way, *_: way.token == token)
    monkeypatch.setenv("AKTO_API_TOKEN", "variable3")
    assert main(["doctor", *(["--token", token] if token else [])]) == 0


def fake(version: Callable[[str], str], name: str, kafka: str | None) -> str:
    """Return a package's version, or the given one for Kafka's client; None means that it is not installed."""
    if name != "confluent-kafka":
        return version(name)
    if kafka is None:
        raise metadata.PackageNotFoundError
    return kafka
