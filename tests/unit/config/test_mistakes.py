"""Mistakes in options that mitmproxy ignores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.config import mistakes
from akto_mirror.config.declarations import OPTIONS
from akto_mirror.config.option import Option
from tests.support.options import DEFAULTS


def mistaken(texts: dict[str, list[str]] | None = None, values: dict[str, object] | None = None) -> list[str]:
    """Return the lines about options that were set before the addon was loaded."""
    return [str(found) for found in mistakes.find(texts or {}, values or {})]


class TestMistakes:
    """Mistakes that mitmproxy ignores, or fails on with an unclear error."""

    @pytest.mark.parametrize(
        ("texts", "line"),
        [
            ({"akto_bodylimit": ["1"]}, "akto_bodylimit=1: no such option; did you mean akto_body_limit?"),
            ({"akto_": []}, "akto_=: no such option"),
            ({"akto_zzzzzzzz": ["1", "2"]}, "akto_zzzzzzzz=1, 2: no such option"),
            ({"akto_tokn": ["hunter2"]}, "akto_tokn=(hidden): no such option; did you mean akto_token?"),
            ({"akto_toekn": ["hunter2"]}, "akto_toekn=(hidden): no such option; did you mean akto_token?"),
            ({"AKTO_TOKEN": ["hunter2"]}, "AKTO_TOKEN=(hidden): no such option; did you mean akto_token?"),
            ({"Akto_url": ["http://h"]}, "Akto_url=http://h: no such option; did you mean akto_url?"),
            ({"aktourl": ["u:hunter2@h"]}, "aktourl=(hidden)@h: no such option; did you mean akto_url?"),
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
        """Unknown names, invalid numbers and repeated values are found."""
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
        """Ranges are checked later, and other addons' options are not checked."""
        assert mistaken(texts) == []

    @pytest.mark.parametrize(
        ("name", "value", "kind"),
        [
            ("akto_url", 5, "a string"),
            ("akto_url", None, "a string"),
            ("akto_url", ["http://h"], "a string"),
            ("akto_tag", {"service": "x"}, "a string"),
            ("akto_body_limit", "many", "a whole number"),
            ("akto_body_limit", 1.5, "a whole number"),
            ("akto_body_limit", True, "a whole number"),
            ("akto_include_query", "yes", "true or false"),
            ("akto_include_query", 1, "true or false"),
            ("akto_routes", "*.example.com/*", "a list of strings"),
            ("akto_routes", [1, 2], "a list of strings"),
            ("akto_routes", {"a": "b"}, "a list of strings"),
            ("akto_routes", None, "a list of strings"),
        ],
    )
    def test_a_value_of_a_wrong_type_in_a_configuration_file(self, name: str, value: object, kind: str) -> None:
        """A value of another type than the option's, as YAML allows, is found."""
        (line,) = mistaken(values={name: value})
        assert line.startswith(f"{name}=")
        assert line.endswith(f"it must be {kind}")

    @pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
    def test_defaults_in_a_configuration_file_are_not_mistakes(self, option: Option) -> None:
        """The defaults, as `mitmdump --options` prints them, are not mistakes."""
        assert mistaken(values={option.name: option.default}) == []

    @given(st.dictionaries(st.sampled_from([*DEFAULTS, "akto_x", "other"]), st.lists(st.text(max_size=5), max_size=3)))
    def test_any_text_gives_lines_or_nothing(self, texts: dict[str, list[str]]) -> None:
        """Any text gives printable lines, at most one for each option, without an exception."""
        lines = mistaken(texts)
        assert all(line.isprintable() for line in lines)
        assert len({line.partition("=")[0] for line in lines}) == len(lines)
