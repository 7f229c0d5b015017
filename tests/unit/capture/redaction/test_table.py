"""The table of redaction in the docs: run row by row, and compared."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import Redaction, headers, path, payload
from tests.support.proxy import ROOT

PAGE = ROOT / "docs" / "redaction.md"
BEGIN, END = "<!-- hidden -->", "<!-- /hidden -->"
ALL = Redaction.of(["common"], ["common"], ["common"])

JSON, XML, FORM = "application/json", "application/xml", "application/x-www-form-urlencoded"
CARD = "4111 1111 1111 1111"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIzNDU2Nzg5"
KEY = "ghp_" + "0123456789abcdefghij" + "ABCDEFGHIJ012345"

# `hunter2` in base64, as it occurs in the rows.
CODED = ("YW5uOmh1bnRlcjI", "Wh1bnRlcjI", "5odW50ZXIy", "h1bnRlcjI")

# A format's name, the content type, and a payload; `path` or a header's name may be given for the content type.
ROWS = (
    ("JSON", JSON, '{"password":"hunter2","n":1.0e5}'),
    ("duplicate keys", JSON, '{"pin":1,"token":"a","token":"hunter2"}'),
    ("escaped keys", JSON, r'{"pass\u0077ord":"hunter2"}'),
    ("objects and lists", JSON, '{"credentials":{"user":"ann","key":["hunter2"]}}'),
    ("JSON lines", "application/x-ndjson", '{"a":1}\n{"token":"hunter2"}'),
    ("JSON that was cut", JSON, '{"a":1,"token":["hunter2'),
    ("nearly JSON", JSON, "{'password': 'hunter2', user: 'ann',}"),
    ("pairs of name and value", JSON, '[{"name":"token","value":"hunter2"},["authorization","Bearer hunter2"]]'),
    ("event streams", "text/event-stream", 'event: a\ndata: {"token":"hunter2"}\n\n'),
    ("forms", FORM, "user=ann&user[password]=hunter2"),
    ("multipart", "multipart/form-data", '--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nhunter2\r\n--x--'),
    ("XML elements", XML, "<a><password><!-- </password> -->hunter2</password></a>"),
    ("XML attributes", XML, "<login user='ann' password='hunter2'/>"),
    ("XML-RPC", XML, "<member><name>token</name><value><string>hunter2</string></value></member>"),
    ("property lists", XML, "<dict><key>password</key><string>hunter2</string></dict>"),
    ("escaped XML", XML, "<Body>&lt;password&gt;hunter2&lt;/password&gt;</Body>"),
    ("HTML inputs", "text/html", '<input type="hidden" name="csrf_token" value="hunter2">'),
    ("GraphQL", JSON, r'{"query":"{ login(password: \"\"\"hunter2\"\"\") { ok } }"}'),
    ("GraphQL in a query", "path", '/graphql?query={login(password:"hunter2"){ok}}'),
    ("YAML", "application/yaml", "db:\n  password: |\n    hunter2\n  port: 1"),
    ("TOML", "application/toml", 'token = """\nhunter2"""\nport = 1'),
    ("INI", "text/plain", "[db]\npassword = hunter2 and more"),
    ("logs", "text/plain", "10:00 INFO login failed token=hunter2 user=ann"),
    ("JSON in JSON", JSON, r'{"body":"{\"a\":{\"token\":\"hunter2\"}}"}'),
    ("XML in JSON", JSON, '{"doc":"<login><password>hunter2</password></login>"}'),
    ("a form in JSON", JSON, '{"body":"user=ann&password=hunter2"}'),
    ("base64 of JSON", JSON, '{"state":"eyJ0b2tlbiI6Imh1bnRlcjIifQ=="}'),
    ("base64 of a form", JSON, '{"state":"YT0xJnBhc3N3b3JkPWh1bnRlcjI"}'),
    ("base64 of XML", "text/plain", "SAML PGE-PHRva2VuPmh1bnRlcjI8L3Rva2VuPjwvYT4="),
    ("JSON in a form", FORM, "a=%7B%22token%22%3A%22hunter2%22%7D"),
    ("URLs", JSON, '{"next":"https://ann:hunter2@host/?page=2&token=hunter2"}'),
    ("signed URLs", JSON, '{"url":"https://s3.host/a?X-Amz-Signature=0a1b&X-Amz-Date=20260101"}'),
    ("queries and path parameters", "path", "/a;token=hunter2;b=1/c?page=2&api_key=hunter2"),
    ("headers", "authorization", "Bearer hunter2"),
    ("headers with JWTs", "x-auth-token", JWT),
    ("cookies", "cookie", "theme=dark; sessionid=hunter2"),
    ("cookies that are set", "set-cookie", "sid=hunter2; Path=/; HttpOnly"),
    ("JSON in headers", "x-user", '{"token":"hunter2","id":1}'),
    ("CSV and TSV", "text/csv", 'id,password,name\n1,hunter2,ann\n2,"hunter2",bob'),
    ("tables in JSON", JSON, '{"columns":["id","password"],"rows":[[1,"hunter2"],[2,"hunter2"]]}'),
    ("rows in JSON", JSON, '[["id","name","password"],[1,"ann","hunter2"]]'),
    ("pairs in brackets", "text/plain", "[[user, ann], [password, hunter2]]"),
    ("credentials in text", "text/plain", "sent Basic YW5uOmh1bnRlcjI= and then Bearer hunter2hunter2"),
    ("commands", "text/plain", "curl -u ann:hunter2 https://host/; mysql -uann -phunter2 db"),
    ("tokens in paths", "path", "/reset/token/hunter2/next"),
    ("cards", JSON, f'{{"note":"paid with {CARD}","n":5555555555554444}}'),
    ("JWTs", JSON, f'{{"note":"{JWT}"}}'),
    ("private keys", JSON, r'{"pem":"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"}'),
    ("keys of services", "path", f"/repos/{KEY}/x"),
    ("harmless names", JSON, '{"tokens_used":4,"sort_key":"a","password_changed_at":1,"author":"ann"}'),
)


def hidden(kind: str, text: str) -> str:
    """Return a redacted row."""
    if kind == "path":
        return path(text, ALL)
    return payload(text, kind, ALL) if "/" in kind else headers({kind: text}, ALL)[kind]


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| kind | before | after |", "|---|---|---|"]
    for name, kind, text in ROWS:
        head = "" if "/" in kind or kind == "path" else f"{kind}: "
        lines.append(f"| {name} | {_code(head + text)} | {_code(head + hidden(kind, text))} |")
    return "\n".join([BEGIN, *lines, END])


def _code(text: str) -> str:
    shown = text.replace("\r\n", "↵").replace("\n", "↵").replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def test_the_docs_say_what_is_hidden() -> None:
    """The page has this table; `python -m tests.unit.capture.redaction.test_table` updates it."""
    assert table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "kind", "text"), ROWS, ids=[row[0] for row in ROWS])
def test_no_row_keeps_its_secret(name: str, kind: str, text: str) -> None:
    """No row keeps its secret; the last row has none and stays unchanged."""
    shown = hidden(kind, text)
    assert (shown == text) == (name == "harmless names")
    assert not any(
        secret in shown for secret in ("hunter2", *CODED, CARD, "5555555555554444", JWT, "MIIEow", KEY, "0a1b")
    )


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + table() + rest.partition(END)[2], encoding="utf-8")
