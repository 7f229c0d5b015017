"""Text in no particular format."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import unquote

import pytest

from tests.unit.capture.redaction.samples import SECRET, hidden

YAML = [
    "password: %s",
    "a:\n  password: %s\n",
    "- password: '%s'",
    "password: |\n  %s\n",
    "password: >-\n  a\n  %s\nx: 1",
    "password:\n  - %s\n",
    "password:\n- a\n- %s\nx: 1",
    "password:\n    x: 1\n    y: %s",
    "password: !!str %s",
    "password: &a %s",
    "password: 'it''s %s'",
    "{a: 1, password: %s, b: 2}",
    "- name: DB_PASSWORD\n  value: %s",
    "env:\n  - name: TOKEN\n    value: '%s'",
    "- {name: token, value: %s}",
    "- value: %s\n  name: token",
    "a: 1\r\npassword: %s\r\nb: 2",
]
TOML_AND_INI = [
    "password = '''\n%s'''",
    'password = """\n%s\n"""',
    'db.password = "%s"',
    '[x]\npassword = [\n  "%s",\n]',
    'x = { password = "%s", a = 1 }',
    "password=%s ; comment",
    "export PASSWORD=%s",
]
CODE = [
    '$password = "%s";',
    'const token: string = "%s"',
    'setPassword("%s")',
    "'password' => '%s'",
    '"password" "%s"',
    'map.put("token", "%s")',
    'a:1:{s:8:"password";s:8:"%s";}',
    "User(password='%s', x=1)",
    "--password %s",
    "-password %s",
]
GRAPHQL = [
    'mutation { login(input: {user: "a", password: "%s"}) { ok } }',
    'mutation ($i: I = {password: "%s"}) { login(i: $i) { ok } }',
    'mutation ($password: String = "%s") { login(p: $password) { ok } }',
    'mutation ($password: String! = "%s", $x: Int) { x }',
    '{ a(password: """a\\"""%s""") { b } }',
    '{ a(password:\n# c\n"%s") { b } }',
    '{ a(password,: "%s") { b } }',
    '{ a(filter: {name: "password", value: "%s"}) { b } }',
]
SENTENCES = [
    "Your password is %s",
    "machine h login u password %s",
    "password\t%s",
    "password eq '%s'",
    "redis://:%s@h:6379",
    "//u:%s@h",
    "https://u:%s@h/",
    "Authorization: Bearer %s",
    "jdbc:mysql://h/db?user=a&password=a;%s",
    "https://h/x?api%20key=%s",
    "sent Bearer %s to it",
    "curl -u ann:%s https://h/",
    "curl -H 'X-Token: %s' -u ann:%s https://h/",
    "run\nmysql -uroot -p%s db",
    "[password, %s]",
    "a: [[user, ann], [password , %s ]]",
]


@pytest.mark.parametrize("text", [*YAML, *TOML_AND_INI, *CODE, *GRAPHQL, *SENTENCES])
def test_secrets(text: str) -> None:
    """Secrets are hidden in plain text, and in a string of JSON."""
    assert SECRET not in hidden(text, "text/plain")
    assert SECRET not in hidden(json.dumps({"text": text}), "application/json")


@pytest.mark.parametrize(
    "text",
    [
        "token expired at 2026-01-01",
        "session 2026-01-01T00:00:00Z ended",
        "The password must have at least 8 characters",
        "query Me { me { id token { id } } }",
        "- name: token\n  type: string",
        "Unexpected token < in JSON at position 0",
        "https://example.com/auth/login?next=/home",
        "Bearer authentication is required",
        'Bearer resource_metadata="https://example.com/"',
        "Basic authentication is required",
        "docker run -u 1000:1000 image",
        "[username, email, password]",
    ],
)
def test_what_holds_no_secret(text: str) -> None:
    """Sentences, GraphQL selections and descriptions of fields stay."""
    assert hidden(text, "text/plain") == text


@pytest.mark.parametrize(
    "text",
    [
        f"a=1&password={SECRET}",
        f"userPassword={SECRET}&a=1",
        f"a=1&API_KEY={SECRET}",
        f"a=1&token={SECRET}",
        f"a=1&accessToken={SECRET}",
        f"<login><password>{SECRET}</password></login>",
        f"<a:b>1</a:b><token>{SECRET}</token>",
        f'{{"token":"{SECRET}"}}',
    ],
)
@pytest.mark.parametrize("before", ["%s", "see %s.", '{"a":"%s"}', "a=%s", "<a>%s</a>", '{"b":"state %s"}'])
@pytest.mark.parametrize("is_padded", [True, False])
def test_base64(text: str, before: str, is_padded: bool) -> None:
    """Secrets are hidden in base64 of forms, XML and JSON, in both alphabets, with and without padding."""
    for coded in (b64encode(text.encode()).decode(), urlsafe_b64encode(text.encode()).decode()):
        new = hidden(before.replace("%s", coded if is_padded else coded.rstrip("=")))
        found = [
            unquote(piece).replace("-", "+").replace("_", "/").rstrip("=")
            for piece in re.findall(r"[\w+/%-]{12,}", new)
        ]
        assert found
        shown = "".join(b64decode(piece + "=" * (-len(piece) % 4)).decode() for piece in found)
        assert SECRET not in shown
        assert "[redacted]" in shown


def test_base64_of_something_else_stays() -> None:
    """Base64 of binary data stays, even with a name in it."""
    text = b64encode(b"\x00\x01 password=hunter2 \xff").decode()
    assert hidden(text) == text


def test_types_of_variables_stay() -> None:
    """Types of GraphQL variables stay, so that Akto can still read the operation."""
    text = "mutation L($password: String!, $user: [String!]) { login(user: $user, password: $password) { ok } }"
    assert hidden(text, "text/plain") == text


@pytest.mark.parametrize(
    "text",
    [
        '{"query":"mutation($p: String!) { login(password: $p) { ok } }","variables":{"p":"%s"}}',
        '{"variables":{"input":{"p":"%s"}},"query":"mutation($input: I!) { login(secret: $input) { ok } }"}',
        'variables={"p":"%s"}&query=mutation($p:String!){login(password:$p){ok}}',
    ],
)
def test_variables_of_other_names(text: str) -> None:
    """Variables that a GraphQL operation uses as secrets are hidden, whatever their name."""
    new = hidden(text, "application/json" if text.startswith("{") else "application/x-www-form-urlencoded")
    assert SECRET not in new
    assert "$p)" in new or "$input)" in new


def test_a_scheme_with_a_parameter() -> None:
    """In Rails' `Token token=`, the parameter's value is hidden, not its name."""
    assert hidden(f'Token token="{SECRET}", a=b') == 'Token token="[redacted]", a=b'
