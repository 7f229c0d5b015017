"""The HTTP interface of the inventory: its page, the page's data, and downloads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec
import tornado.web
from tornado.iostream import StreamClosedError

from akto_mirror.ingestion import differences, documents, inventory, page_document, views
from akto_mirror.ingestion.access import Handler
from akto_mirror.ingestion.arrivals import Store
from akto_mirror.ingestion.entries import http_archive
from akto_mirror.ingestion.entries.endpoints import Endpoint
from akto_mirror.ingestion.entries.reading import key_of, read_headers
from akto_mirror.ingestion.inventory import Inventory

PAGE_ENTRIES = 1_000
CHUNK_BYTES = 1 << 20


class _Page(Handler):
    def get(self) -> None:
        """Serve the page, which contains no data: it requests them like any other client."""
        loaded = page_document.load()
        for name, value in loaded.headers.items():
            self.set_header(name, value)
        self.finish(loaded.body)


class _Entries(Handler):
    def get(self) -> None:
        self.authorize_reader()
        first, entries = self.store.since(self.number("since", 0), PAGE_ENTRIES)
        raw = [msgspec.Raw(entry) for entry in entries]
        self.reply(200, first=first, next=first + len(raw), total=self.store.total, entries=raw)

    def delete(self) -> None:
        """Forget all entries. Other web sites cannot do that: browsers send a preflight request before this method."""
        self.authorize_reader()
        self.store.clear()
        self.reply(200)


class _Inventory(Handler):
    def get(self) -> None:
        self.authorize_reader()
        version = f"{self.store.run}-{self.store.total}"
        if self.text("version") == version:
            self.set_status(204)
            return
        shown = self.store.look(
            partial(
                views.listing,
                words=self.text("q"),
                host=self.text("host"),
                order=self.text("order"),
                start=self.number("start", 0),
                limit=self.number("limit", inventory.MAX_PAGE),
                now=time.time(),
            )
        )
        self.reply(200, version=version, run=self.store.run, **shown)


class _OfEndpoint(Handler):
    def endpoint(self, name: str = "id") -> Endpoint:
        number = self.number(name, 0)
        endpoint = self.store.look(lambda all_: all_.endpoint(number))
        if endpoint is None:
            raise tornado.web.HTTPError(404, reason="there is no such endpoint")
        return endpoint


class _Endpoint(_OfEndpoint):
    def get(self) -> None:
        self.authorize_reader()
        endpoint = self.endpoint()
        version = f"{self.store.run}-{endpoint.seen}"
        if self.text("version") == version:
            self.set_status(204)
            return
        shown = self.store.look(lambda all_: views.detail(endpoint, all_.samples(endpoint)))
        self.reply(200, version=version, run=self.store.run, **shown)


class _Differences(_OfEndpoint):
    def get(self) -> None:
        """Compare two samples of an endpoint, by their numbers."""
        self.authorize_reader()
        endpoint = self.endpoint()
        kept = {sample["number"]: sample for sample in self.store.look(lambda all_: all_.samples(endpoint))}
        older, newer = (kept.get(self.text(name)) for name in ("older", "newer"))
        if older is None or newer is None:
            raise tornado.web.HTTPError(404, reason="that sample is no longer kept")
        self.reply(200, differences=[each._asdict() for each in differences.compare(older, newer)])


class _OpenApi(Handler):
    async def get(self, kind: str) -> None:
        """Describe the endpoints of a host, or of all; on a thread, because many endpoints take a while."""
        self.authorize_reader()
        host = self.text("host")
        body = await asyncio.get_running_loop().run_in_executor(None, _document, self.store, host, kind)
        self.set_header("Content-Type", "application/json" if kind == "json" else "application/yaml")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(body)


def _document(store: Store, host: str, kind: str) -> bytes:
    def built(all_: Inventory) -> dict[str, object]:
        return documents.build(all_.endpoints(host), all_.samples)

    document = store.look(built)
    return documents.text(document, as_json=kind == "json").encode()


class _Download(_OfEndpoint):
    async def get(self, kind: str) -> None:
        """Send the kept entries in pieces: all of them, or those of a host or an endpoint."""
        self.authorize_reader()
        wanted = self._wanted()
        self.set_header("Content-Type", "application/x-ndjson" if kind == "ndjson" else "application/json")
        self.set_header("Content-Disposition", f'attachment; filename="entries.{kind}"')
        self.set_header("X-Content-Type-Options", "nosniff")
        entries = (entry for entry in _entries(self.store) if wanted(entry))
        for chunk in _chunks(http_archive.document(entries) if kind == "har" else (entry + b"\n" for entry in entries)):
            self.write(chunk)
            try:
                await self.flush()
            except StreamClosedError:
                return

    def _wanted(self) -> _Wanted:
        if self.text("id"):
            endpoint = self.endpoint()
            return _Wanted(endpoint.host, (endpoint.method, endpoint.path))
        return _Wanted(self.text("host"))


class _Wanted:
    """Selects the entries of a host or an endpoint; without a host, all."""

    def __init__(self, host: str, endpoint: tuple[str, str] | None = None) -> None:
        self._host = host
        self._endpoint = endpoint

    def __call__(self, encoded: bytes) -> bool:
        if not self._host:
            return True
        entry = msgspec.json.decode(encoded)
        host, *endpoint = key_of(entry, read_headers(entry.get("requestHeaders")))
        return host == self._host and self._endpoint in (None, tuple(endpoint))


def _entries(store: Store) -> Iterator[bytes]:
    """Yield the entries that existed at the start, except those that are no longer kept by their turn."""
    number, end = 0, store.total
    while number < end:
        number, entries = store.since(number, PAGE_ENTRIES)
        yield from entries[: max(0, end - number)]
        number += len(entries)
        if not entries:
            return


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces."""
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


ROUTES: tuple[tuple[str, type[Handler]], ...] = (
    ("/", _Page),
    ("/openapi\\.(json|yaml)", _OpenApi),
    ("/entries\\.(ndjson|har)", _Download),
    ("/api/entries", _Entries),
    ("/api/inventory", _Inventory),
    ("/api/inventory/endpoint", _Endpoint),
    ("/api/inventory/differences", _Differences),
)
