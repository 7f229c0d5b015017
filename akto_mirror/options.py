"""The addon's options, checked and parsed: one frozen `Settings`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitmproxy import flowfilter

from akto_mirror import destination, option_values, private, redact, routes
from akto_mirror.declarations import DEFAULT_TAG, OPTIONS, ConfigError, Option
from akto_mirror.destination import Destination
from akto_mirror.marks import Mark
from akto_mirror.redact import Redaction
from akto_mirror.retry import Durability
from akto_mirror.tee import Mode

WORKER_TAG = '{\n  "service": "cloudflare"\n}'


@dataclass(frozen=True, slots=True)
class Settings:
    """All options, checked and parsed. Times are in the units that the options' names give."""

    destination: Destination
    uds: str
    token: str = field(repr=False)
    account_id: str
    vxlan_id: str
    tag: str
    worker: bool
    routes: tuple[routes.Route, ...]
    filter: flowfilter.TFilter | None
    host: str
    client_ip_header: str
    include_query: bool
    body_limit: int
    stream: Mode
    upstream_connections: int
    redaction: Redaction
    batch_entries: int
    batch_bytes: int
    linger_ms: int
    queue_bytes: int
    durability: Durability
    spool_dir: Path
    spool_bytes: int
    timeout_s: int
    shutdown_s: int
    metrics: tuple[str, int] | None
    mark: Mark


def read(values: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check and parse the options' values; where one is empty, its environment variable stands in.

    Raises:
        ConfigError: for the first option whose value cannot be used.
    """
    try:
        return _read(values, environ)
    except ConfigError as fault:
        env = {option.name: option.env for option in OPTIONS}[fault.option]
        if env and not values[fault.option]:
            raise ConfigError(fault.option, fault.value, f"{fault.problem} (given by the variable {env})") from fault
        raise


def _read(values: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    known = {option.name: _given(option, values[option.name], environ) for option in OPTIONS}
    for option in OPTIONS:
        _check(option, known[option.name])
    worker = known["akto_fidelity"] == "worker"
    return Settings(
        destination=_parsed(known, "akto_url", destination.parse),
        uds=_parsed(known, "akto_uds", option_values.socket),
        token=_parsed(known, "akto_token", option_values.token),
        account_id=known["akto_account_id"],
        vxlan_id=known["akto_vxlan_id"],
        tag=WORKER_TAG
        if worker and known["akto_tag"] == DEFAULT_TAG
        else _parsed(known, "akto_tag", option_values.tag),
        worker=worker,
        routes=tuple(_each(known, "akto_routes", routes.parse)),
        filter=_parsed(known, "akto_filter", option_values.flow_filter),
        host=_parsed(known, "akto_host", option_values.host),
        client_ip_header=_parsed(known, "akto_client_ip_header", option_values.header_name),
        include_query=known["akto_include_query"],
        body_limit=known["akto_body_limit"],
        redaction=Redaction(
            headers=_redacted(known, "akto_redact_headers", redact.header_names),
            fields=_redacted(known, "akto_redact_fields", redact.field_names),
        ),
        stream=Mode(known["akto_stream"]),
        upstream_connections=known["akto_upstream_connections"],
        batch_entries=known["akto_batch_entries"],
        batch_bytes=known["akto_batch_bytes"],
        linger_ms=known["akto_linger_ms"],
        queue_bytes=known["akto_queue_bytes"],
        durability=Durability(known["akto_durability"]),
        spool_dir=_spool_dir_of(known, environ),
        spool_bytes=known["akto_spool_bytes"],
        timeout_s=known["akto_timeout_s"],
        shutdown_s=known["akto_shutdown_s"],
        metrics=_parsed(known, "akto_metrics", option_values.listener),
        mark=Mark(known["akto_mark"]),
    )


def _spool_dir_of(known: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    """Return the spool's folder; where nothing is ever written to disk, it need not be fit for that."""
    if known["akto_durability"] == Durability.MEMORY.value:
        return Path()
    folder: Path = _parsed(known, "akto_spool_dir", lambda text: private.spool_folder(text, environ))
    return folder


def _given(option: Option, value: Any, environ: Mapping[str, str]) -> Any:
    return value or environ.get(option.env, "") if option.env else value


def _check(option: Option, value: Any) -> None:
    if not all(_is_unicode(text) for text in _texts(value)):
        raise ConfigError(option.name, value, "it must be valid UTF-8")
    if option.choices and value not in option.choices:
        raise ConfigError(option.name, value, f"it must be one of {', '.join(option.choices)}")
    if option.bounds and not option.bounds[0] <= value <= option.bounds[1]:
        raise ConfigError(option.name, value, f"it must be between {option.bounds[0]} and {option.bounds[1]}")


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, Sequence) else []


def _is_unicode(value: str) -> bool:
    """Tell bytes of the command line that Python could not decode, and keeps as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _parsed(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(known[name])
    except ValueError as fault:
        raise ConfigError(name, known[name], str(fault)) from fault


def _each(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Iterable[Any]:
    return [_parsed({name: value}, name, parse) for value in known[name]]


def _redacted(known: Mapping[str, Any], name: str, names: Callable[[Iterable[str]], frozenset[str]]) -> frozenset[str]:
    for given in known[name]:
        if not given.strip():
            raise ConfigError(name, given, "it must name something, or be `common`")
    return names(known[name])
