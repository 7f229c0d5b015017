"""Parsers of option values."""

from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy.test import tflow

from akto_mirror.config import option_values
from akto_mirror.sampling.noise import Noise


@pytest.mark.parametrize(
    ("address", "found"),
    [("", None), ("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:0", ("::1", 0)), ("h:65535", ("h", 65535))],
)
def test_a_listener_is_a_host_and_a_port(address: str, found: object) -> None:
    """An IPv6 address is in brackets."""
    assert option_values.listener(address) == found


@pytest.mark.parametrize("address", ["9464", ":9464", "h:", "h:65536", "h:-1", "h:\u0661", "h:x"])
def test_half_a_listener_is_refused(address: str) -> None:
    """The error says how a listener is written."""
    with pytest.raises(ValueError, match="HOST:PORT"):
        option_values.listener(address)


def test_a_unix_socket_need_not_be_there_but_its_folder(tmp_path: Path) -> None:
    """The socket may be created later, but its folder must exist."""
    assert option_values.socket("") == ""
    assert option_values.socket(f"{tmp_path}/akto.sock") == f"{tmp_path}/akto.sock"
    with pytest.raises(ValueError, match=f"the folder {tmp_path}/none does not exist"):
        option_values.socket(f"{tmp_path}/none/akto.sock")
    with pytest.raises(ValueError, match="it is a folder"):
        option_values.socket(str(tmp_path))


def test_header_names_are_tokens() -> None:
    """Header names follow RFC 9110, section 5.6.2."""
    assert option_values.header_name("X-Real-IP") == "x-real-ip"
    for name in ("a b", "a:b", "é", "a\n"):
        with pytest.raises(ValueError, match="not a header's name"):
            option_values.header_name(name)


def test_texts_of_one_form() -> None:
    """Hosts, whole numbers, presets and content types are parsed, and errors say what is allowed."""
    assert option_values.host("api.example.com:81") == "api.example.com:81"
    assert option_values.whole_number("2147483647") == "2147483647"
    assert option_values.noise("health") == (Noise.HEALTH,)
    assert option_values.noise("static, options") == (Noise.STATIC, Noise.OPTIONS)
    assert option_values.content_types(" JSON, ,xml") == ("json", "xml")
    for parse, text, message in (
        (option_values.host, "https://h", "without scheme and path"),
        (option_values.whole_number, "1e6", "a whole number such as"),
        (option_values.whole_number, "2147483648", "at most 32 bits"),
        (option_values.whole_number, "\u0661", "a whole number such as"),
        (option_values.noise, "everything", "one of health"),
        (option_values.content_types, " , ", "such as json,xml"),
    ):
        with pytest.raises(ValueError, match=message):
            parse(text)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', "[" * 100_000])
def test_a_tag_is_a_json_object(text: str) -> None:
    """Cut JSON, other values than objects, and NaN are refused."""
    with pytest.raises(ValueError, match="must be a JSON object"):
        option_values.tag(text, {})


def test_a_tag_holds_texts_and_variables_that_are_there() -> None:
    """A tag without variables stays as written; the environment must have each variable that is used."""
    assert option_values.tag('{"a":"b",  "c":null}', {}) == '{"a":"b",  "c":null}'
    assert option_values.tag('{"a":"{env:X}"}', {"X": "1"}) == '{"a": "1"}'
    with pytest.raises(ValueError, match="no variable X in the environment"):
        option_values.tag('{"a":"{env:X}"}', {})
    with pytest.raises(ValueError, match="the value of a must be a string"):
        option_values.tag('{"a":1}', {})


def test_a_filter_does_not_look_at_bodies() -> None:
    """Filters on bodies are refused at any depth: mitmproxy would decode bodies without a limit."""
    assert option_values.flow_filter("") is None
    get = option_values.flow_filter("~m GET & !(~d other.example)")
    assert get is not None
    assert get(tflow.tflow())
    for expression in ("~b x", "~m GET & !(~bq x)", "(~m GET | ~bs x)"):
        with pytest.raises(ValueError, match="cannot be used"):
            option_values.flow_filter(expression)
    with pytest.raises(ValueError, match="not a flow filter"):
        option_values.flow_filter("~nope")
