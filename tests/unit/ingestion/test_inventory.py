"""The inventory folds any entries into hosts and endpoints, within bounds."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion import filters, inventory, views
from akto_mirror.ingestion import samples as samples_of
from akto_mirror.ingestion.entries import fields, kinds, shapes, xml
from akto_mirror.ingestion.entries.endpoints import Endpoint
from akto_mirror.ingestion.entries.shapes import Learner, Room, Shape
from akto_mirror.ingestion.inventory import Inventory
from tests.support.hostile import ANY_TEXT, ENTRIES, HOSTILE, JSON_VALUES

UUID = "550e8400-e29b-41d4-a716-446655440000"
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def entry(path: str = "/a", method: str = "GET", host: str = "shop.example", **changes: Any) -> dict[str, Any]:
    """Return an entry; `sent` and `answered` are content types."""
    request = {"host": host, "content-type": changes.pop("sent", "application/json")} | changes.pop("headers", {})
    response = {"content-type": changes.pop("answered", "application/json")}
    return {
        "path": path,
        "method": method,
        "time": "1700000000",
        "statusCode": "200",
        "akto_vxlan_id": "7",
        "requestHeaders": json.dumps(request),
        "responseHeaders": json.dumps(response),
        **changes,
    }


def folded(*entries: dict[str, Any]) -> Inventory:
    """Return an inventory of these entries."""
    made = Inventory()
    for each in entries:
        made.add(each)
    return made


def only(*entries: dict[str, Any]) -> Endpoint:
    """Return the only endpoint of these entries."""
    (endpoint,) = folded(*entries).search().endpoints
    return endpoint


def types(payload: str, content_type: str) -> dict[str, str]:
    """Return the types of a payload's fields by name."""
    return {row.name: "|".join(shapes.type_names(row.types)) for row in learned(payload, content_type)}


def learned(payload: str, content_type: str = "application/json") -> list[Shape]:
    """Return the shapes of a payload's fields."""
    shape = Shape()
    learner = Learner(Room(100_000, 100_000), lambda _: True)
    for value in fields.read_payload(payload, content_type).values:
        learner.learn(shape, value)
    return [row for row, _ in shapes.rows(shape, 1)]


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        ('{"a":1,"b":{"c":"x","d":null},"e":1.5,"f":true}', "application/json",
         {"a": "integer", "b.c": "string", "b.d": "null", "e": "number", "f": "boolean"}),
        ('{"items":[{"name":"a"},{"name":null,"n":[1,2.5]}]}', "",
         {"items[].name": "null|string", "items[].n[]": "integer|number"}),
        ("[1,\"a\"]", "application/vnd.api+json; charset=utf-8", {"[]": "integer|string"}),
        ('{"a":{},"b":[]}', "application/json", {"a": "object", "b": "array"}),
        ('"x"', "application/json", {"": "string"}),
        ('{"users":{"17":{"n":1},"18":{"n":2}}}', "application/json", {"users.{id}.n": "integer"}),
        ('{"a":1}\n{"b":2}\n{"b":', "application/x-ndjson", {"a": "integer", "b": "integer"}),
        ('{"a":[{"b":1},{"b":2,"c":"x', "application/json", {"a[].b": "integer"}),
        ("a=1&b=x&b=2.5&c=&d=true&e%5B%5D=%C3%A9", "application/x-www-form-urlencoded",
         {"a": "integer", "b[]": "number|string", "c": "string", "d": "boolean", "e[]": "string"}),
        ("<?xml version='1.0'?><!-- <x> --><o:order id='7' xmlns:o='u'><item>lamp</item><item>2</item><e/></o:order>",
         "application/xml",
         {"o:order@id": "integer", "o:order/item[]": "integer|string", "o:order/e": ""}),
        ("<a id='7'>lamp<!-- --></a>", "text/xml", {"a@id": "integer", "a": "string"}),
        ("<a><b>1</b><c", "text/xml", {"a/b": "integer"}),
        ("<a><![CDATA[ <b>x</b> ]]></a>", "text/xml", {"a": "string"}),
        ('event: m\ndata: {"a":1}\n\ndata: [DONE]\n\n', "text/event-stream", {"a": "integer"}),
        ('--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x\r\n'
         'Content-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n', "multipart/form-data; boundary=x",
         {"a": "string", "f": "file"}),
        ("welcome", "text/plain", {}),
        ("<!doctype html><p>hi", "text/html", {}),
        ("", "application/json", {}),
        ("nonsense", "application/json", {}),
    ],
)  # fmt: skip
def test_payloads_are_read_by_their_form(payload: str, content_type: str, expected: dict[str, str]) -> None:
    """JSON, forms, XML, event streams and multipart have names and types; other and broken text has none."""
    assert types(payload, content_type) == expected


def test_xml_entities_are_not_expanded() -> None:
    """The declarations of a document are not used."""
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    assert types(bomb, "application/xml") == {"a": "string"}


def test_a_parameter_makes_no_grpc() -> None:
    """Only the essence of a content type makes a payload gRPC."""
    assert fields.read_payload('{"a":1}', "application/json; v=grpc")[0] == "json"


def kind_of(payload: object = "", path: str = "/x", **changes: Any) -> tuple[list[str], list[str]]:
    """Return the marks and operations of an entry with this request payload."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    endpoint = only(entry(path, "POST", requestPayload=body, **changes))
    return list(endpoint.marks), list(endpoint.operations)


@pytest.mark.parametrize(
    ("payload", "mark", "operations"),
    [
        ({"query": "{ me { id } }"}, kinds.GRAPHQL, ["query"]),
        ({"query": "query Orders($n: Int) { orders(n: $n) { id } }"}, kinds.GRAPHQL, ["query Orders"]),
        ({"query": "# pays\nmutation Pay { pay }"}, kinds.GRAPHQL, ["mutation Pay"]),
        ({"query": "query A { a } mutation B { b }", "operationName": "B"}, kinds.GRAPHQL, ["mutation B"]),
        ({"query": "fragment F on T { a } subscription S { s }"}, kinds.GRAPHQL, ["subscription S"]),
        ([{"query": "{ a }"}, {"query": "mutation M { b }"}], kinds.GRAPHQL, ["query", "mutation M"]),
        ({"operationName": "P", "extensions": {"persistedQuery": {"version": 1}}}, kinds.GRAPHQL, ["query P"]),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, kinds.MCP, ["tools/list"]),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "forecast"}},
         kinds.MCP, ["tools/call forecast"]),
        ({"jsonrpc": "2.0", "method": "notifications/initialized"}, kinds.MCP, ["notifications/initialized"]),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_call"}, kinds.JSON_RPC, ["eth_call"]),
        ({"query": "lamps under {20}"}, None, []),
        ({"query": "mutation of cells"}, None, []),
        ({"query": 7, "method": "tools/list"}, None, []),
        ("[[]]", None, []),
    ],
)  # fmt: skip
def test_graphql_and_json_rpc_are_marked_by_what_they_ask_for(
    payload: object, mark: str | None, operations: list[str]
) -> None:
    """Operations of GraphQL and methods of JSON-RPC are named; a field named query is not enough."""
    assert kind_of(payload) == ([mark] if mark else [], operations)


def test_websocket_grpc_and_mcp_are_marked_by_type_and_headers() -> None:
    """The entry's type and headers show the kind if the payload does not."""
    assert kind_of(type="WebSocket")[0] == [kinds.WEBSOCKET]
    assert kind_of(headers={"Upgrade": "WebSocket"})[0] == [kinds.WEBSOCKET]
    assert kind_of(sent="application/grpc+proto")[0] == [kinds.GRPC]
    assert kind_of({"jsonrpc": "2.0", "id": 1, "result": {}}, headers={"mcp-session-id": "x"})[0] == [kinds.MCP]
    assert kind_of(path="/graphql?query=query+Q+%7B+a+%7D") == ([kinds.GRAPHQL], ["query Q"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Shop.Example", "shop.example"),
        ("localhost:3000", "localhost:3000"),
        ("10.0.0.7", "no host name (collection 7)"),
        ("127.0.0.1:80", "no host name (collection 7)"),
        ("", "no host name (collection 7)"),
        ("日本", "no host name (collection 7)"),
    ],
)
def test_hosts_are_named_as_akto_names_its_collections(host: str, expected: str) -> None:
    """A host is a collection; without a host, or with one without letters of two cases, it is named by the vxlan id."""
    assert only(entry(host=host)).host == expected


def test_entries_of_one_endpoint_are_counted_together() -> None:
    """Counts, statuses, times and fields of an endpoint's entries are merged."""
    endpoint = only(
        entry("/o/1?page=1", time="1700000005", statusCode="200", responsePayload='{"a":1}'),
        entry("/o/2?page=x&q=", time="1700000001", statusCode="404", responsePayload='{"a":null,"b":2}'),
        entry("/o/3", method="get", statusCode="200"),
    )
    assert (endpoint.method, endpoint.path, endpoint.count, endpoint.last) == ("GET", "/o/{id}", 3, 1700000005)
    assert endpoint.statuses == {"200": 2, "404": 1}
    assert (endpoint.first, endpoint.auth_kinds) == (1700000000, ["none"])
    places = {place["title"]: place["fields"] for place in views.detail(endpoint, [])["places"]}
    shown = {
        title: [(field["name"], field["types"], field["count"], field["of"]) for field in listed]
        for title, listed in places.items()
    }
    assert shown == {
        "Path": [("{id}", ["integer"], 3, 3)],
        "Query": [("page", ["integer", "string"], 2, 3), ("q", ["string"], 1, 3)],
        "Response 200": [("a", ["integer"], 1, 1)],
        "Response 404": [("a", ["null"], 1, 1), ("b", ["integer"], 1, 1)],
    }


def test_search_looks_everywhere_and_keeps_the_order() -> None:
    """All words must be found, ignoring case, in host, path, method, status, fields, operations or marks."""
    made = folded(
        entry("/b", host="b.example", responsePayload='{"PassWord":"x"}'),
        entry("/z", method="POST", requestPayload='{"query":"mutation Pay { p }"}', statusCode="500"),
        entry("/a"),
        entry("/a"),
    )

    def paths(words: str, **options: Any) -> list[str]:
        return [endpoint.path for endpoint in made.search(words, **options).endpoints]

    assert paths("") == ["/b", "/a", "/z"]
    assert paths("password") == ["/b"]
    assert paths("PAY graphql 500") == ["/z"]
    assert paths("shop get") == ["/a"]
    assert paths("nowhere") == []
    assert paths("", host="shop.example") == ["/a", "/z"]
    assert paths("", order="count") == ["/a", "/b", "/z"]
    assert paths("", order="last") == ["/a", "/z", "/b"]
    assert paths("", start=1, limit=1) == ["/a"]
    assert made.search("", host="b.example").hosts == [("b.example", 1, 1), ("shop.example", 2, 3)]


def test_the_latest_samples_are_kept() -> None:
    """The newest samples come first, cut if they are long."""
    made = folded(*(entry(f"/o/{n}", responsePayload="x" * 100_000) for n in range(20)))
    samples = made.samples(made.search().endpoints[0])
    assert [sample["path"] for sample in samples] == [f"/o/{n}" for n in range(19, 14, -1)]
    assert {len(sample["responsePayload"]) for sample in samples} == {samples_of.MAX_SAMPLE_CHARS}


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints, hosts, names and samples are bounded, and entries beyond a bound are counted."""
    for name, bound in {"MAX_ENDPOINTS": 50, "MAX_HOSTS": 5, "MAX_FIELDS": 10, "MAX_NAMES": 150}.items():
        monkeypatch.setattr(inventory, name, bound)
    monkeypatch.setattr(samples_of, "MAX_ALL_SAMPLE_CHARS", 3_000)
    made = Inventory()
    for n in range(300):
        payload = json.dumps({f"f{chr(97 + n % 26)}{m}x": n for m in range(n % 20)})
        made.add(entry(f"/{chr(97 + n % 26)}/{'x' * (n // 26)}", host=f"h{n % 7}.example", requestPayload=payload))
    endpoints = made.search(limit=500).endpoints
    assert made.sizes == (50, 5)
    assert made.beyond == 300 - sum(endpoint.count for endpoint in endpoints)
    named = [sum(len(body.shape.members or {}) for body in endpoint.bodies.values()) for endpoint in endpoints]
    assert max(named) == 10
    assert 60 < sum(named) + sum(len(endpoint.statuses) + len(endpoint.bodies) for endpoint in endpoints) <= 150
    kept = [sample for endpoint in endpoints for sample in made.samples(endpoint)]
    assert 0 < sum(len(text) for sample in kept for name, text in sample.items() if name != "number") <= 3_000


def test_a_payload_is_read_up_to_a_bound() -> None:
    """The number of fields, their depth and the length of their names are bounded."""
    wide = learned(json.dumps({f"k{chr(97 + n % 26)}{n}": n for n in range(10_000)}))
    deep = learned('{"a":' * 500 + "1" + "}" * 500)
    long = learned(json.dumps({"word" * 1_000: {"word" * 1_000: 1}}))
    tags = learned("".join(f"<t{n}>" for n in range(10_000)), "application/xml")
    pairs = learned("&".join(f"p{n}=1" for n in range(10_000)), "application/x-www-form-urlencoded")
    assert 100 < len(wide) <= shapes.MAX_NODES
    assert [row.name.count(".") for row in deep] == [shapes.MAX_DEPTH - 1]
    assert 1 <= len(tags) <= xml.MAX_TAGS
    assert 100 < len(pairs) <= fields.MAX_PAIRS
    for rows in (wide, deep, long, tags, pairs):
        assert all(len(row.name) <= shapes.MAX_NAME_CHARS * 2 + 1 for row in rows)


@pytest.mark.parametrize(("content_type", "payload"), HOSTILE)
def test_hostile_payloads_cost_little(content_type: str, payload: str) -> None:
    """Payloads of the usual limit take little time; quadratic time would be seconds."""
    made = Inventory()
    started = time.process_time()
    made.add(entry(sent=content_type, answered=content_type, requestPayload=payload, responsePayload=payload))
    assert time.process_time() - started < 1
    assert made.total == 1


@settings(max_examples=120, deadline=None)
@given(st.lists(ENTRIES, max_size=8), ANY_TEXT)
@example([{"path": "\ud800", "requestHeaders": '{"host": 7}', "time": "٣"}], "\ud800")
def test_no_entry_makes_it_raise(entries: list[dict[str, Any]], words: str) -> None:
    """Any entries are counted, and the result can be encoded as JSON."""
    made = folded(*entries)
    assert made.total == len(entries)
    assert sum(endpoint.count for endpoint in made.search().endpoints) == len(entries)
    message = [views.detail(endpoint, made.samples(endpoint)) for endpoint in made.search().endpoints]
    assert msgspec.json.decode(msgspec.json.encode([message, views.listing(made, words=words)]))


@settings(max_examples=100, deadline=None)
@given(JSON_VALUES, st.integers(0, 200))
def test_closed_json_is_json_or_nothing(value: object, end: int) -> None:
    """JSON that is cut anywhere is closed to valid JSON, or given up."""
    closed = fields.close(json.dumps(value)[:end])
    assert closed == "" or json.loads(closed) is not None


def test_a_search_of_many_words_takes_no_longer_than_one_of_a_few() -> None:
    """Repeated words are searched once, only some words are searched, and long words by a prefix."""
    made = folded(entry("/needle"))
    (endpoint,) = made.search().endpoints
    looked: list[str] = []

    class Text(str):
        __slots__ = ()

        def __contains__(self, word: object) -> bool:
            looked.append(str(word))
            return str.__contains__(self, str(word))

    endpoint.text = Text(endpoint.text + "n" * 200)
    assert made.search("needle " * 10_000).total == 1
    assert looked == ["needle"]
    looked.clear()
    made.search(" ".join("n" * count for count in range(1, 60)))
    assert len(looked) == filters.MAX_WORDS
    looked.clear()
    made.search("n" * 5_000)
    assert looked == ["n" * filters.MAX_WORD_CHARS]
