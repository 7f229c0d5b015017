"""Options become one validated value, or an error of one line that names the problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture import rules
from akto_mirror.capture.config import Mode
from akto_mirror.config import options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.option import Option
from akto_mirror.config.options import WORKER_TAG
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.sinks.destination import Destination
from tests.support.options import DEFAULTS, read, refused

INGEST = "/api/ingestData"


def test_the_defaults_are_usable() -> None:
    """The defaults are a dry run with the documented values."""
    settings = read()
    assert settings.sink.destination == Destination()
    assert (settings.capture.account_id, settings.capture.vxlan_id, settings.capture.tag) == (
        "1000000",
        "0",
        '{"service": "mitmproxy"}',
    )
    assert (settings.capture.worker, settings.capture.routes, settings.capture.filter, settings.capture.host) == (
        False,
        (),
        None,
        "",
    )
    assert (settings.capture.client_ip_header, settings.capture.include_query) == ("cf-connecting-ip", True)
    assert (settings.capture.body_limit, settings.capture.stream) == (65536, Mode.AUTO)
    assert settings.delivery.limits == Limits(100, 1048576, 1.0)
    assert (settings.delivery.queue_bytes, settings.delivery.timeout_s, settings.delivery.shutdown_s) == (
        67108864,
        10,
        5,
    )


@pytest.mark.parametrize("token", ["a\nb", "a\r", "a\tb", "\x00", "é", "\udcff"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    """A token with characters that headers cannot have, such as a line break at the end, is refused and hidden."""
    assert refused(token=f"hunter2{token}").startswith("akto_token=(hidden): ")


def test_a_token_is_in_no_representation_of_the_settings() -> None:
    """Line 11: the settings can be logged without showing the token."""
    settings = read(token="hunter2")
    assert settings.sink.token == "hunter2"
    assert "hunter2" not in repr(settings)


WRONG: list[tuple[str, Any, str]] = [
    ("body_limit", -1, "between 0 and 4194304"),
    ("body_limit", 4194305, "between 0 and 4194304"),
    ("batch_entries", 0, "between 1 and 10000"),
    ("batch_bytes", 0, "between 1 and 8388608"),
    ("batch_bytes", 8388609, "between 1 and 8388608"),
    ("linger_ms", -1, "between 0 and 3600000"),
    ("queue_bytes", 0, "between 1 and"),
    ("timeout_s", 0, "between 1 and 3600"),
    ("shutdown_s", -1, "between 0 and 3600"),
    ("fidelity", "both", "one of akto, worker"),
    ("fidelity", "", "one of akto, worker"),
    ("stream", "true", "one of auto, always, never"),
    ("tag", "", "JSON object"),
    ("tag", "[]", "JSON object"),
    ("tag", '"x"', "JSON object"),
    ("tag", "{", "JSON object"),
    ("tag", "{service: x}", "JSON object"),
    ("tag", '{"a": NaN}', "JSON object"),
    ("tag", '{"a": -Infinity}', "JSON object"),
    ("tag", "[" * 100_000, "JSON object"),
    ("tag", '{"a": 1}', "the value of a must be a string"),
    ("tag", '{"a": "b", "c\\n": {}}', r"the value of c\n must be a string"),
    ("tag", '{"a": "{env:NO_SUCH}"}', "there is no variable NO_SUCH"),
    ("account_id", "acme", "must be a whole number"),
    ("account_id", "", "must be a whole number"),
    ("account_id", "1.5", "must be a whole number"),
    ("account_id", "\u0661", "must be a whole number"),
    ("content_types", " , ", "must name what content types contain"),
    ("direction", "in", "one of empty, 1, 2"),
    ("routes", ["a.test/*", "a*b.test/*"], "a*b.test/*: a host may contain * only at its start"),
    ("routes", ["a.test:80/*"], "cannot contain a port"),
    ("routes", [""], "names no host"),
    ("routes", ["a.test/\udcff"], "valid UTF-8"),
    ("filter", "~nonsense", "not a flow filter"),
    ("filter", "~b [", "not a flow filter"),
    ("filter", "(~m GET", "not a flow filter"),
    ("filter", " ", "not a flow filter"),
    ("filter", "~b secret", "cannot be used"),
    ("filter", "~m POST & (~u a | !(~bs x))", "cannot be used"),
    ("filter", "~bq x ~m GET", "cannot be used"),
    ("host", "https://api.example.com", "without scheme and path"),
    ("host", "api.example.com/x", "without scheme and path"),
    ("host", "a b", "without scheme and path"),
    ("host", "a\nb", "without scheme and path"),
    ("client_ip_header", "x forwarded for", "not a header's name"),
    ("client_ip_header", "x:y", "not a header's name"),
    ("client_ip_header", "é", "not a header's name"),
    ("account_id", "\udcff", "valid UTF-8"),
    ("uds", "/no-such-folder/a.sock", "the folder /no-such-folder does not exist"),
    ("uds", "/tmp", "it is a folder"),
    ("uds", "/no\x1b[31m/a.sock", r"the folder /no\x1b[31m does not exist"),
    ("url", "file:///no%0Afolder/out", r"the folder /no\nfolder does not exist"),
    ("metrics", "9464", "write HOST:PORT"),
    ("metrics", "127.0.0.1:99999", "write HOST:PORT"),
    ("metrics", ":9464", "write HOST:PORT"),
    ("durability", "disc", "one of memory, spill, disk"),
    ("spool_dir", "relative/folder", "absolute path"),
    ("spool_dir", "~no-such-user-here/spool", "no such user"),
    ("spool_dir", "/dev/null", "not a folder"),
    ("spool_dir", "/a\0b", "null"),
    ("spool_bytes", 0, "between 1 and"),
    ("redact_headers", ["cookie", " "], "must name something"),
    ("redact_fields", [""], "must name something"),
]


@pytest.mark.parametrize(("name", "value", "problem"), WRONG)
def test_a_wrong_value_is_refused(name: str, value: Any, problem: str) -> None:
    """The error is one line that begins with option and value, and says what is allowed."""
    line = refused(**{name: value})
    assert line.startswith(f"akto_{name}=")
    assert problem in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body_limit", 0),
        ("body_limit", 4194304),
        ("batch_entries", 1),
        ("linger_ms", 0),
        ("shutdown_s", 0),
        ("tag", "{}"),
        ("tag", '{"a": null, "b": "é {env:} {x}"}'),
        ("content_types", " JSON ,,Event-Stream"),
        ("direction", "2"),
        ("host", "api.example.com:8443"),
        ("host", "bücher.example"),
        ("client_ip_header", ""),
        ("client_ip_header", "True-Client-IP"),
        ("filter", "~m POST & !~u health"),
        ("routes", []),
        ("uds", "relative.sock"),
    ],
)
def test_borders_are_allowed(name: str, value: Any) -> None:
    """Minimum and maximum are allowed, and empty values that have a meaning."""
    read(**{name: value})


def test_header_names_are_compared_in_lower_case() -> None:
    """Header names are in lower case, as in entries."""
    assert read(client_ip_header="True-Client-IP").capture.client_ip_header == "true-client-ip"


def test_a_filter_that_is_given_filters() -> None:
    """The filter is parsed."""
    assert read(filter="~m POST").capture.filter is not None


def test_the_workers_fidelity_has_the_workers_tag() -> None:
    """The default tag of `worker` is the Worker's."""
    assert read(fidelity="worker").capture.tag == WORKER_TAG
    assert read(fidelity="worker", tag='{"a":"1"}').capture.tag == '{"a":"1"}'


class TestEnvironment:
    """Environment variables replace empty options."""

    def test_the_variables_that_akto_s_users_know(self) -> None:
        """The address and the token are read from the variables that Akto's users know."""
        settings = read({"AKTO_DATA_INGESTION_URL": "http://h:1", "AKTO_API_TOKEN": "t"})
        assert (settings.sink.destination.url, settings.sink.token) == (f"http://h:1{INGEST}", "t")

    def test_an_option_wins_over_its_variable(self) -> None:
        """An option takes precedence over its variable, even over an invalid one."""
        environ = {"AKTO_DATA_INGESTION_URL": "nonsense", "AKTO_API_TOKEN": "a\nb"}
        settings = read(environ, url="http://mine", token="mine")
        assert (settings.sink.destination.url, settings.sink.token) == (f"http://mine{INGEST}", "mine")

    def test_an_empty_variable_is_none(self) -> None:
        """An empty variable counts as unset."""
        assert read({"AKTO_DATA_INGESTION_URL": "", "AKTO_API_TOKEN": ""}).sink.destination == Destination()

    def test_a_wrong_variable_is_named(self) -> None:
        """An error in a variable names the variable, so that it is not looked for on the command line."""
        assert "AKTO_DATA_INGESTION_URL" in refused({"AKTO_DATA_INGESTION_URL": "nope"})
        assert "nope" in refused({"AKTO_DATA_INGESTION_URL": "nope"})
        assert "AKTO_API_TOKEN" in refused({"AKTO_API_TOKEN": "hunter2\n"})
        assert "hunter2" not in refused({"AKTO_API_TOKEN": "hunter2\n"})
        assert "AKTO_" not in refused({"AKTO_DATA_INGESTION_URL": "http://h"}, url="nope")


def refusal(changes: dict[str, Any]) -> str:
    """Return the error for these values, or an empty string."""
    try:
        options.read(DEFAULTS | changes, {})
    except ConfigError as refused:
        return str(refused)
    return ""


@given(st.sampled_from([option for option in OPTIONS if option.type is str]), st.text(st.characters(), max_size=40))
def test_any_text_is_read_or_refused(option: Option, value: str) -> None:
    """Any text is valid, or gives the one error that names the option."""
    line = refusal({option.name: value})
    assert line.isprintable()
    assert not line or line.startswith(f"{option.name}=")


@given(st.text(st.characters(), max_size=40), st.sampled_from(["http://", "https://h", "file:///", "http://h:"]))
def test_any_url_is_read_or_refused(value: str, before: str) -> None:
    """Any URL is valid, or gives the one error that names the option."""
    assert refusal({"akto_url": before + value}).partition("=")[0] in ("", "akto_url")


@pytest.mark.parametrize("fidelity", ["akto", "worker"])
def test_variables_stand_in_tags(fidelity: str) -> None:
    """Variables are replaced in values only, so that each pod can name itself."""
    tag = '{"{env:POD}": "{env:POD}-{env:ZONE}", "none": null, "plain": "{env: POD}"}'
    found = read({"POD": 'a"b', "ZONE": "é"}, fidelity=fidelity, tag=tag).capture.tag
    assert json.loads(found) == {"{env:POD}": 'a"b-é', "none": None, "plain": "{env: POD}"}


def test_the_worker_reports_no_query() -> None:
    """In `worker`, queries are left out whatever the option is."""
    assert not read(fidelity="worker", include_query=True).capture.include_query
    assert not read(include_query=False).capture.include_query


def test_content_types_are_compared_in_lower_case() -> None:
    """Content types are in lower case, like those that they are compared with."""
    assert read(content_types="JSON, Event-Stream").capture.content_types == ("json", "event-stream")
    assert read().capture.content_types == rules.TARGETS
