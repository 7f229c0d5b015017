"""Paths in entries."""

from __future__ import annotations

from urllib.parse import unquote

import ada_url
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.paths import path_of, without_triggers
from akto_mirror.ingestion.entries.concerns import concerns
from tests.support.entries import entry


class TestPath:
    """`path` is the pathname of the request target, parsed as a WHATWG URL."""

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            (b"/", "/"),
            (b"/api/items/7", "/api/items/7"),
            (b"/a?b=c", "/a"),
            (b"/a#b", "/a"),
            (b"/a?b#c", "/a"),
            (b"/?", "/"),
            (b"?a=b", "/"),
            (b"", "/"),
            (b"//a", "//a"),
            (b"//a//", "//a//"),
            (b"/a/./b/../c", "/a/c"),
            (b"/a/..", "/"),
            (b"/..", "/"),
            (b"/.", "/"),
            (b"/a/.", "/a/"),
            (b"/...", "/..."),
            (b"/a/%2e%2E/b", "/b"),
            (b"/.hidden", "/.hidden"),
            (b"/a.b", "/a.b"),
            (b"/a\\..\\b", "/b"),
            (b"/{id}", "/%7Bid%7D"),
            (b"/a b", "/a%20b"),
            (b"/^", "/%5E"),
            (b'/`"<>', "/%60%22%3C%3E"),
            (b"/|[]'", "/|[]'"),
            (b"/a;y=1", "/a;y=1"),
            (b"/a%2Fb%61", "/a%2Fb%61"),
            (b"/%zz%", "/%zz%"),
            ("/é".encode(), "/%C3%A9"),
            (b"/\xff\xfe", "/%EF%BF%BD%EF%BF%BD"),
            (b"/\x01\x7f", "/%01%7F"),
            (b"/:80", "/:80"),
            (b"/http://x", "/http://x"),
            (b"*", "/*"),
            (b"a/b", "/a/b"),
            (b"http://h/a/../b?c", "/b"),
            (b"https://h", "/"),
            (b"a://b", "/"),
            (b"x://", "/"),
            (b"foo://?q", "/"),
            (b"blob://x", "/"),
            (b"/@a:b!$&'()*+,=~_-", "/@a:b!$&'()*+,=~_-"),
        ],
    )
    def test_it_is_normalised_as_a_url(self, target: bytes, path: str) -> None:
        """Dot segments are resolved, characters that are not allowed in URLs are encoded, and the query is left out."""
        assert path_of(target, include_query=False) == path

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            (b"/a?b=c", "/a?b=c"),
            (b"/a?", "/a"),
            (b"/a?b=c#d", "/a?b=c"),
            (b"/a", "/a"),
            (b"/../a?b=../c", "/a?b=../c"),
            (b"/a?b=\xff{}", "/a?b=%EF%BF%BD{}"),
            (b"/a?b=/http://c", "/a?b=/http://c"),
            (b"/a?u=http://c/../d", "/a?u=http://c/../d"),
            (b"/a??b?c", "/a??b?c"),
        ],
    )
    def test_the_query_string_is_appended_on_request(self, target: bytes, path: str) -> None:
        """With `akto_include_query` the query string follows, encoded as in a URL."""
        assert path_of(target, include_query=True) == path

    @given(st.from_regex(rb"(/[A-Za-z0-9_~!$&'()*+,;=:@.-]{0,4}){1,6}(\?[!-\x22$-~]{0,8})?", fullmatch=True))
    def test_the_short_cut_gives_what_the_parser_gives(self, target: bytes) -> None:
        """A plain path is returned as it is, which is what a WHATWG parser would return."""
        parsed = ada_url.URL("http://h" + target.decode("ascii"))
        assert path_of(target, include_query=False) == parsed.pathname
        assert path_of(target, include_query=True) == parsed.pathname + parsed.search

    @given(st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode())), st.booleans())
    def test_any_target_becomes_text_of_a_url(self, target: bytes, query: bool) -> None:
        """Any target gives a path that starts with a slash, is ASCII and is parsed to itself."""
        path = path_of(b"/" + target, include_query=query)
        assert path.startswith("/")
        assert path.isascii()
        assert path_of(path.encode(), include_query=query) == path

    @given(st.binary(max_size=60), st.booleans())
    def test_a_target_without_a_slash_does_no_harm(self, target: bytes, query: bool) -> None:
        """A target without a leading slash gives text that can be encoded as UTF-8."""
        path_of(target, include_query=query).encode("utf-8")

    def test_a_long_path_costs_no_more_than_its_length(self) -> None:
        """A hostile path of a megabyte takes linear time: the regular expression does not backtrack."""
        for piece in (b"/a", b"/.", b"//", b"a.", b"/..a", b"/{"):
            path_of(b"/" + piece * 500_000, include_query=False)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/a?next=/health&x=/y", "/a?next=%2Fhealth&x=/y"),
        ("/a?file=b.min.js", "/a?file=b.min%2Ejs"),
        ("/a?file=b.PNG?c", "/a?file=b%2EPNG%3Fc"),
        ("/a?x=1?y=2", "/a?x=1%3Fy%3D2"),
        ("/a??x=1", "/a?%3Fx=1"),
        ("/a?x=%zz&y=100%", "/a?x=%25zz&y=100%25"),
        ("/a?x=%41&y=%e9", "/a?x=%41&y=%e9"),
        ("/a?n=1;m=2&o=3", "/a?n=1;m%3D2&o=3"),
        ("/a?token=YQ==&b", "/a?token=YQ%3D%3D&b"),
        ("/a?&&=&a==", "/a?&&=&a=%3D"),
        ("/a?debug&next=a=b", "/a?debug&next=a%3Db"),
        ("/a?debug&next=a=b=c&x=1", "/a?debug&next=a%3Db%3Dc&x=1"),
        ("/a?file=b.png&c=1", "/a?file=b.png&c=1"),
        ("/a?x=1", "/a?x=1"),
        ("/health?x=/health", "/health?x=%2Fhealth"),
        ("/a.js", "/a.js"),
    ],
)
def test_queries_are_written_so_that_entries_are_kept(path: str, kept: str) -> None:
    """Characters that would make Akto drop the entry are encoded in the query; the path before it stays."""
    assert without_triggers(path) == kept


@given(
    st.text(),
    st.lists(st.sampled_from(["/health", ".js", ".png", "?", "&a=", "/HealthZ", ".html", "=", "%", "%4"])).map("".join),
)
def test_any_query_is_kept(text: str, query: str) -> None:
    """No query makes Akto drop the entry, and its decoded value stays the same."""
    path = f"/a?{query}{text}{query}"
    kept = without_triggers(path)
    assert concerns(entry(kept)) == []
    assert unquote(kept) == unquote(path)
