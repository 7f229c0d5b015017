"""Options become one checked value, or an error of one line that names what was wrong."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture import rules
from akto_mirror.capture.config import Mode
from akto_mirror.config import mistakes, options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.option import Option
from akto_mirror.config.options import WORKER_TAG, Settings
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.sinks.destination import Destination

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}
INGEST = "/api/ingestData"


def read(environ: dict[str, str] | None = None, **changes: Any) -> Settings:
    """Read the defaults with some changes; names are without their `akto_`."""
    return options.read(DEFAULTS | {f"akto_{name}": value for name, value in changes.items()}, environ or {})


def fault(environ: dict[str, str] | None = None, **changes: Any) -> str:
    """Return the one line that refuses these values."""
    with pytest.raises(ConfigError) as caught:
        read(environ, **changes)
    line = str(caught.value)
    assert line.isprintable()
    return line


def test_the_defaults_are_usable() -> None:
    """Without any option, a dry run with the documented values."""
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


def test_every_option_is_declared_as_mitmproxy_and_users_need_it() -> None:
    """A name with the addon's prefix, a help of one paragraph, and a default of its type."""
    for option in OPTIONS:
        assert re.fullmatch("akto_[a-z0-9_]+", option.name)
        assert option.help.endswith(".")
        assert "\n" not in option.help
        assert isinstance(option.default, option.type if isinstance(option.type, type) else list)
        assert not option.choices or option.default in option.choices


@pytest.mark.parametrize(
    ("url", "shipped_to"),
    [
        ("http://127.0.0.1:9091", f"http://127.0.0.1:9091{INGEST}"),
        ("http://127.0.0.1:9091/", f"http://127.0.0.1:9091{INGEST}"),
        ("https://ingest.example.com", f"https://ingest.example.com{INGEST}"),
        ("HTTP://Ingest.example.com", f"http://Ingest.example.com{INGEST}"),
        ("https://h/own/path", "https://h/own/path"),
        ("https://h/own/path?key=1", "https://h/own/path?key=1"),
        ("https://h?key=1", f"https://h{INGEST}?key=1"),
        ("https://h/x#part", "https://h/x"),
        ("http://[::1]:9091", f"http://[::1]:9091{INGEST}"),
        ("http://bücher.example", f"http://bücher.example{INGEST}"),
        ("http://example.com.:81", f"http://example.com.:81{INGEST}"),
        ("http://h:65535", f"http://h:65535{INGEST}"),
    ],
)
def test_a_url_without_a_path_means_akto_s_own(url: str, shipped_to: str) -> None:
    """The path of the data-ingestion service is filled in; one that is given stays."""
    assert read(url=url).sink.destination.url == shipped_to


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("user:hunter2@host:9091", "(hidden)@host:9091"),
        ("http:/user:hunter2@host", "http:/(hidden)@host"),
        ("HTTP:\\\\user:hunter2@host", r"HTTP:\\\\(hidden)@host"),
        ("http://user:hunter2@host", "http://(hidden)@host"),
        ("http://user:hunter2@x@host/?a", "http://(hidden)@host/?(hidden)"),
        ("ftp://host/?token=hunter2", "ftp://host/?(hidden)"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    """Neither user and password nor the query is in the line, wherever the slashes are."""
    line = fault(url=url)
    assert "hunter2" not in line
    assert line.startswith(f"akto_url={shown}: ")


def test_a_query_is_not_logged() -> None:
    """A destination has a text for the log, without the query, in which there may be a key."""
    assert read(url="https://h/x?token=hunter2").sink.destination.shown == "https://h/x?(hidden)"
    assert read(url="https://h/x").sink.destination.shown == "https://h/x"


def test_a_pipe_is_not_a_file_for_entries(tmp_path: Path) -> None:
    """A pipe without a reader would stop the sending for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in fault(url=f"file://{tmp_path}/pipe")


def test_a_file_url_names_a_file(tmp_path: Path) -> None:
    """Escapes in it are undone; the file need not exist yet."""
    target = read(url=f"file://{tmp_path}/a%20b.ndjson").sink.destination
    assert (target.scheme, target.path) == ("file", str(tmp_path / "a b.ndjson"))
    assert read(url=f"file://localhost{tmp_path}/c").sink.destination.path == str(tmp_path / "c")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nope", "must begin with http://, https://, file:// or kafka://"),
        ("127.0.0.1:9091", "must begin with http://, https://, file:// or kafka://"),
        ("ftp://h/x", "must begin with http://, https://, file:// or kafka://"),
        ("://h", "must begin with http://, https://, file:// or kafka://"),
        ("http:", "names no host"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://:9091", "names no host"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://h:x", "its port must be a number from 1 to 65535"),
        ("http://h:99999", "its port must be a number from 1 to 65535"),
        ("http://h:0", "its port must be a number from 1 to 65535"),
        ("http://h:-1", "its port must be a number from 1 to 65535"),
        ("http://a b/", "not a host name"),
        ("http://a..b/", "not a host name"),
        ("http://.example/", "not a host name"),
        (f"http://{'a' * 64}.example/", "not a host name"),
        (f"http://{'a.' * 128}example/", "not a host name"),
        ("http://h/\x1b[31m", "control character"),
        ("http://h/\nx", "control character"),
        ("http://h/\udcff", "valid UTF-8"),
        ("file:relative.ndjson", "with three slashes"),
        ("file://relative.ndjson", "with three slashes"),
        ("file://host/x.ndjson", "with three slashes"),
        ("file:///no-such-folder/x.ndjson", "the folder /no-such-folder does not exist; create it first"),
        ("file:///", "it is a folder"),
        ("file:///tmp/%00", "NUL"),
        ("file:///tmp/a#b.ndjson", "%23"),
        ("file:///tmp/a?b.ndjson", "%3F"),
    ],
)
def test_an_unusable_url_is_refused(url: str, problem: str) -> None:
    """The line names the option, the value and what would do."""
    line = fault(url=url)
    assert line.startswith("akto_url=")
    assert problem in line


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@h", "http://hunter2@h", "http://u:hunter2/@h:1", "http://u:hunter2@"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    """A log is no place for it."""
    assert "hunter2" not in fault(url=url)


@pytest.mark.parametrize("token", ["a\nb", "a\r", "a\tb", "\x00", "é", "\udcff"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    """A line break at the end is the usual fault."""
    assert fault(token=f"hunter2{token}").startswith("akto_token=(hidden): ")


def test_a_token_is_in_no_representation_of_the_settings() -> None:
    """Line 11: a log of the settings does not show it."""
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
    ("tag", '{"a": 1}', "the value of a must be a text"),
    ("tag", '{"a": "b", "c\\n": {}}', r"the value of c\n must be a text"),
    ("tag", '{"a": "{env:NO_SUCH}"}', "there is no variable NO_SUCH"),
    ("account_id", "acme", "must be a whole number"),
    ("account_id", "", "must be a whole number"),
    ("account_id", "1.5", "must be a whole number"),
    ("account_id", "\u0661", "must be a whole number"),
    ("content_types", " , ", "must name what content types contain"),
    ("direction", "in", "one of empty, 1, 2"),
    ("routes", ["a.test/*", "a*b.test/*"], "a*b.test/*: a host may hold * only at its start"),
    ("routes", ["a.test:80/*"], "no port"),
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
    """One line that begins with option and value, and says what would do."""
    line = fault(**{name: value})
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
    """The least and the greatest value, and empty ones that mean something."""
    read(**{name: value})


def test_header_names_are_compared_in_lower_case() -> None:
    """Headers of an entry are lower-case."""
    assert read(client_ip_header="True-Client-IP").capture.client_ip_header == "true-client-ip"


def test_a_filter_that_is_given_filters() -> None:
    """It is parsed once."""
    assert read(filter="~m POST").capture.filter is not None


def test_the_workers_fidelity_has_the_workers_tag() -> None:
    """Unless another is given."""
    assert read(fidelity="worker").capture.tag == WORKER_TAG
    assert read(fidelity="worker", tag='{"a":"1"}').capture.tag == '{"a":"1"}'


class TestEnvironment:
    """Variables stand in for empty options."""

    def test_the_variables_that_akto_s_users_know(self) -> None:
        """For the address and the token."""
        settings = read({"AKTO_DATA_INGESTION_URL": "http://h:1", "AKTO_API_TOKEN": "t"})
        assert (settings.sink.destination.url, settings.sink.token) == (f"http://h:1{INGEST}", "t")

    def test_an_option_wins_over_its_variable(self) -> None:
        """What is nearer counts."""
        environ = {"AKTO_DATA_INGESTION_URL": "nonsense", "AKTO_API_TOKEN": "a\nb"}
        settings = read(environ, url="http://mine", token="mine")
        assert (settings.sink.destination.url, settings.sink.token) == (f"http://mine{INGEST}", "mine")

    def test_an_empty_variable_is_none(self) -> None:
        """As in a shell."""
        assert read({"AKTO_DATA_INGESTION_URL": "", "AKTO_API_TOKEN": ""}).sink.destination == Destination()

    def test_a_wrong_variable_is_named(self) -> None:
        """Nobody should search the command line for what the environment holds."""
        assert "AKTO_DATA_INGESTION_URL" in fault({"AKTO_DATA_INGESTION_URL": "nope"})
        assert "nope" in fault({"AKTO_DATA_INGESTION_URL": "nope"})
        assert "AKTO_API_TOKEN" in fault({"AKTO_API_TOKEN": "hunter2\n"})
        assert "hunter2" not in fault({"AKTO_API_TOKEN": "hunter2\n"})
        assert "AKTO_" not in fault({"AKTO_DATA_INGESTION_URL": "http://h"}, url="nope")


def mistaken(texts: dict[str, list[str]] | None = None, values: dict[str, object] | None = None) -> list[str]:
    """Return the lines about what was given before the addon was loaded."""
    return [str(found) for found in mistakes.find(texts or {}, values or {})]


class TestMistakes:
    """What mitmproxy would pass over in silence, or fall over."""

    @pytest.mark.parametrize(
        ("texts", "line"),
        [
            ({"akto_bodylimit": ["1"]}, "akto_bodylimit=1: no such option; is akto_body_limit meant?"),
            ({"akto_": []}, "akto_=: no such option"),
            ({"akto_zzzzzzzz": ["1", "2"]}, "akto_zzzzzzzz=1, 2: no such option"),
            ({"akto_tokn": ["hunter2"]}, "akto_tokn=(hidden): no such option; is akto_token meant?"),
            ({"akto_toekn": ["hunter2"]}, "akto_toekn=(hidden): no such option; is akto_token meant?"),
            ({"AKTO_TOKEN": ["hunter2"]}, "AKTO_TOKEN=(hidden): no such option; is akto_token meant?"),
            ({"Akto_url": ["http://h"]}, "Akto_url=http://h: no such option; is akto_url meant?"),
            ({"aktourl": ["u:hunter2@h"]}, "aktourl=(hidden)@h: no such option; is akto_url meant?"),
            ({"akto_api_key": ["hunter2"]}, "akto_api_key=(hidden): no such option"),
            ({"akto_body_limit": ["abc"]}, "akto_body_limit=abc: it must be a whole number"),
            ({"akto_body_limit": ["1.5"]}, "akto_body_limit=1.5: it must be a whole number"),
            ({"akto_body_limit": [""]}, "akto_body_limit=: it must be a whole number"),
            ({"akto_body_limit": []}, "akto_body_limit=: it must be a whole number"),
            ({"akto_body_limit": ["1", "2"]}, "akto_body_limit=1, 2: it is given more than once"),
            ({"akto_token": ["hunter1", "hunter2"]}, "akto_token=(hidden): it is given more than once"),
            ({"akto_include_query": ["yes"]}, "akto_include_query=yes: it must be true or false"),
            ({"akto_url": ["a\nb", "c"]}, r"akto_url=a\nb, c: it is given more than once"),
        ],
    )
    def test_on_the_command_line(self, texts: dict[str, list[str]], line: str) -> None:
        """Unknown names, numbers that are none, and values that are given twice."""
        (found,) = mistaken(texts)
        assert found.startswith(line)

    @pytest.mark.parametrize(
        "texts",
        [
            {"akto_body_limit": ["-1"]},
            {"akto_include_query": ["true"]},
            {"akto_include_query": []},
            {"akto_include_query": ["toggle"]},
            {"akto_routes": ["a.test/*", "b.test/*"]},
            {"akto_routes": []},
            {"akto_url": []},
            {"listen_prt": ["1"]},
        ],
    )
    def test_what_mitmproxy_can_parse_is_left_to_later(self, texts: dict[str, list[str]]) -> None:
        """Whether a value makes sense is another question, and other addons' options are not ours."""
        assert mistaken(texts) == []

    @pytest.mark.parametrize(
        ("name", "value", "kind"),
        [
            ("akto_url", 5, "a text"),
            ("akto_url", None, "a text"),
            ("akto_url", ["http://h"], "a text"),
            ("akto_tag", {"service": "x"}, "a text"),
            ("akto_body_limit", "many", "a whole number"),
            ("akto_body_limit", 1.5, "a whole number"),
            ("akto_body_limit", True, "a whole number"),
            ("akto_include_query", "yes", "true or false"),
            ("akto_include_query", 1, "true or false"),
            ("akto_routes", "*.example.com/*", "a list of texts"),
            ("akto_routes", [1, 2], "a list of texts"),
            ("akto_routes", {"a": "b"}, "a list of texts"),
            ("akto_routes", None, "a list of texts"),
        ],
    )
    def test_a_value_of_a_wrong_type_in_a_configuration_file(self, name: str, value: object, kind: str) -> None:
        """YAML knows types, and each option has one."""
        (line,) = mistaken(values={name: value})
        assert line.startswith(f"{name}=")
        assert line.endswith(f"it must be {kind}")

    @pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
    def test_defaults_in_a_configuration_file_are_not_mistakes(self, option: Option) -> None:
        """What `mitmdump --options` prints can be used."""
        assert mistaken(values={option.name: option.default}) == []

    @given(st.dictionaries(st.sampled_from([*DEFAULTS, "akto_x", "other"]), st.lists(st.text(max_size=5), max_size=3)))
    def test_any_text_gives_lines_or_nothing(self, texts: dict[str, list[str]]) -> None:
        """It never raises, and each option is complained about once at most."""
        lines = mistaken(texts)
        assert all(line.isprintable() for line in lines)
        assert len({line.partition("=")[0] for line in lines}) == len(lines)


def refusal(changes: dict[str, Any]) -> str:
    """Return the line that refuses these values, or nothing."""
    try:
        options.read(DEFAULTS | changes, {})
    except ConfigError as refused:
        return str(refused)
    return ""


@given(st.sampled_from([option for option in OPTIONS if option.type is str]), st.text(st.characters(), max_size=40))
def test_any_text_is_read_or_refused(option: Option, value: str) -> None:
    """No text makes an option fail otherwise than by the one line that names it."""
    line = refusal({option.name: value})
    assert line.isprintable()
    assert not line or line.startswith(f"{option.name}=")


@given(st.text(st.characters(), max_size=40), st.sampled_from(["http://", "https://h", "file:///", "http://h:"]))
def test_any_url_is_read_or_refused(value: str, before: str) -> None:
    """The same for the address, beginning as it should."""
    assert refusal({"akto_url": before + value}).partition("=")[0] in ("", "akto_url")


@pytest.mark.parametrize("fidelity", ["akto", "worker"])
def test_variables_stand_in_tags(fidelity: str) -> None:
    """In values only, so that each pod may name itself."""
    tag = '{"{env:POD}": "{env:POD}-{env:ZONE}", "none": null, "plain": "{env: POD}"}'
    found = read({"POD": 'a"b', "ZONE": "é"}, fidelity=fidelity, tag=tag).capture.tag
    assert json.loads(found) == {"{env:POD}": 'a"b-é', "none": None, "plain": "{env: POD}"}


def test_the_worker_reports_no_query() -> None:
    """Whatever the option says."""
    assert not read(fidelity="worker", include_query=True).capture.include_query
    assert not read(include_query=False).capture.include_query


def test_content_types_are_compared_in_lower_case() -> None:
    """As those of exchanges are."""
    assert read(content_types="JSON, Event-Stream").capture.content_types == ("json", "event-stream")
    assert read().capture.content_types == rules.TARGETS
