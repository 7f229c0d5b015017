"""XML and HTML."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import markup
from tests.unit.capture.redaction.samples import SECRET, hidden


@pytest.mark.parametrize(
    "text",
    [
        "<ns:password xmlns:ns='u'>%s</ns:password>",
        "<password><![CDATA[%s]]></password>",
        "<password><!-- </password> -->%s</password>",
        "<password><password>x</password>%s</password>",
        "<a x='>' password = '%s'/>",
        "<user password=%s>",
        "<member><name>password</name>\n<value><string>%s</string></value></member>",
        "<member><value><string>%s</string></value><name>password</name></member>",
        "<pair><name>token</name><type>x</type><value>%s</value></pair>",
        "<Parameter><ParameterName>ApiKey</ParameterName><ParameterValue>%s</ParameterValue></Parameter>",
        "<dict><key>password</key><string>%s</string></dict>",
        "<dict><key>password</key><!-- c --><string>%s</string></dict>",
        "<dict><key>kept</key><string>x</string><key>token</key><array><string>%s</string></array></dict>",
        "<entry><string>password</string><string>%s</string></entry>",
        "<entry key='password'>%s</entry>",
        "<property value='%s' name='password'/>",
        "<setting name='ApiKey'><value>%s</value></setting>",
        "<Attribute AttributeName='password' AttributeValue='%s'/>",
        "<input type='password' name='x' value='%s'>",
        "<INPUT VALUE=%s NAME=PASSWORD>",
        '<input\n  type="hidden"\n  value="%s"\n  name="authenticity_token"\n>',
        "<meta content='%s' name=csrf-token>",
        "<textarea name='secret'>%s</textarea>",
        "<a href='/x?a=1&amp;token=%s'>y</a>",
        "<a href='https://u:%s@h/'>",
        '<script>window.__DATA__={"token":"%s"}</script>',
        "<td>password</td><td>%s</td>",
        "<!-- <password>%s</password> -->",
        "<a>&#60;password&#62;%s&#60;/password&#62;</a>",
        "<a><token>%s",
        "<a token='%s",
    ],
)
@pytest.mark.parametrize("content_type", ["application/xml", "text/html", ""])
def test_secrets(text: str, content_type: str) -> None:
    """Secrets are hidden in elements, in attributes, and beside a name."""
    assert SECRET not in hidden(text, content_type)


def test_what_stands_beside_a_value_stays() -> None:
    """Only the value is hidden, not what is beside it."""
    text = "<a><member><name>token</name><type>kept</type><value>%s</value></member><b>kept</b></a>"
    assert hidden(text).count("kept") == 2


def test_names_and_references() -> None:
    """Names are compared without namespaces, and references are resolved."""
    assert markup.local(b"ns:PassWord") == b"password"
    assert markup.short(b"ns:PassWord") == b"PassWord"
    assert markup.unescaped(b"&lt;a&#62;") == b"<a>"
    assert markup.escaped(b"<'>", quote=True) == b"&lt;&#x27;&gt;"
    assert markup.may_be(b"x &lt;")
    assert not markup.may_be(b"1 < 2")


@pytest.mark.parametrize(
    "text",
    [
        "<token>%s<token>b</token>c</token>kept",
        "<token>%s<token/>c</token>kept",
        "<token>%s<tokens></tokens></token>kept",
        "<token>%s<!-- </token> -->c</token>kept",
        "<token>%s<![CDATA[</token>]]>c</token>kept",
        "<token>%s<!--c</token>kept",
    ],
)
def test_where_an_element_ends(text: str) -> None:
    """An element's end is found after nested elements of its name, comments and character data."""
    assert hidden(text) == "<token>[redacted]</token>kept"


def test_many_attributes_are_hidden_from_some_on() -> None:
    """Of many attributes in one tag, those after a limit are hidden."""
    many = "<a token='x' " + "b='&c;' " * 1_000
    assert SECRET not in hidden(many + "token='%s'>")
    assert SECRET not in hidden(many + "name='token'>%s</a>")
