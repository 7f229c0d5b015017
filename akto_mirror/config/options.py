"""Checks and parses the addon's options into one frozen `Settings`."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from akto_mirror import private_files
from akto_mirror.akto_api import DEFAULT_TAG, INGEST_PATH
from akto_mirror.capture import routes
from akto_mirror.capture.config import CaptureConfig, Mode, Redaction, Sampling, selfcheck
from akto_mirror.config import kafka, option_values
from akto_mirror.config import redaction as redaction_options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.option import Option
from akto_mirror.delivery import Destination, Durability, Limits, Policy, SinkConfig, SpoolPlan
from akto_mirror.outcomes import Mark

REDACTS = ("akto_redact_fields", "akto_redact_headers", "akto_redact_values")
WORKER_TAG = '{\n  "service": "cloudflare"\n}'


@dataclass(frozen=True, slots=True)
class ScreenConfig:
    """What the user interface shows, and where metrics are served: host and port, or None."""

    mark: Mark = Mark.AUTO
    metrics: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All options, checked and parsed, grouped by the part that uses them.

    Attributes:
        upstream_connections: connections that one client connection may hold open to a target; 0 for mitmproxy's limit.
    """

    capture: CaptureConfig
    delivery: Policy
    sink: SinkConfig
    screen: ScreenConfig
    upstream_connections: int


# Limits that apply to all processes of one proxy together: each process gets its share. The spool is shared as a whole.
DIVIDED = ("akto_queue_bytes", "akto_max_entries_s", "akto_max_bytes_s")


def read(values: Mapping[str, Any], environ: Mapping[str, str], processes: int = 1) -> Settings:
    """Check and parse the options' values; environment variables replace empty ones.

    Args:
        values: the options' values, by name.
        environ: environment variables.
        processes: how many processes share the limits in `DIVIDED`.

    Raises:
        ConfigError: for the first option whose value cannot be used.
    """
    try:
        return _read(values, environ, processes)
    except ConfigError as error:
        names = _variables(error, values[error.option], environ)
        if names:
            source = f"given by the variable{'s' * (len(names) > 1)} {' and '.join(names)}"
            raise ConfigError(error.option, error.value, f"{error.problem} ({source})") from error
        raise


def _variables(error: ConfigError, value: Any, environ: Mapping[str, str]) -> list[str]:
    """Return the environment variables that an invalid value comes from."""
    if error.option == "akto_kafka":
        return kafka.property_variables(error.problem, value, environ)
    option = next(option for option in OPTIONS if option.name == error.option)
    names = [option.env] if option.env and not value and environ.get(option.env) else []
    if option.name == "akto_url":
        names += kafka.address_variables(_given(option, value, environ), environ)
    return names


def _read(values: Mapping[str, Any], environ: Mapping[str, str], processes: int) -> Settings:
    known = {option.name: _given(option, values[option.name], environ) for option in OPTIONS}
    for option in OPTIONS:
        _check(option, known[option.name])
    known |= {name: divided(known[name], processes) for name in DIVIDED}
    known["akto_url"] = kafka.address(known["akto_url"], environ)
    sink = _sink(known, environ)
    return Settings(
        _capture(known, environ, sink),
        _delivery(known, environ, sink),
        sink,
        _screen(known),
        upstream_connections=known["akto_upstream_connections"],
    )


def parts(values: Mapping[str, Any], environ: Mapping[str, str], processes: int) -> dict[str, tuple[int, int]]:
    """Return, for each limit that processes divide, one process's share and the whole.

    Raises:
        ConfigError: for the first option whose value cannot be used.
    """
    read(values, environ, processes)
    wholes = {each.name: int(_given(each, values[each.name], environ)) for each in OPTIONS if each.name in DIVIDED}
    return {name: (divided(whole, processes), whole) for name, whole in wholes.items()}


def divided(bound: int, processes: int) -> int:
    """Return one process's share of a limit; 0, which means no limit, stays 0."""
    return bound and max(1, bound // processes)


def _sink(known: Mapping[str, Any], environ: Mapping[str, str]) -> SinkConfig:
    to: Destination = _parsed(known, "akto_url", kafka.destination)
    return SinkConfig(
        destination=to,
        uds=_parsed(known, "akto_uds", option_values.socket),
        token=_parsed(known, "akto_token", option_values.token),
        kafka=_parsed(known, "akto_kafka", lambda items: kafka.config(to, items, environ)),
    )


def _capture(known: Mapping[str, Any], environ: Mapping[str, str], sink: SinkConfig) -> CaptureConfig:
    worker = known["akto_fidelity"] == "worker"
    return CaptureConfig(
        worker=worker,
        account_id=_parsed(known, "akto_account_id", option_values.whole_number),
        vxlan_id=known["akto_vxlan_id"],
        tag=_tag(known, environ, worker=worker),
        routes=tuple(_each(known, "akto_routes", routes.parse)),
        filter=_parsed(known, "akto_filter", option_values.flow_filter),
        host=_parsed(known, "akto_host", option_values.host),
        client_ip_header=_parsed(known, "akto_client_ip_header", option_values.header_name),
        include_query=known["akto_include_query"] and not worker,
        content_types=_parsed(known, "akto_content_types", option_values.content_types),
        direction=known["akto_direction"],
        body_limit=known["akto_body_limit"],
        stream=Mode(known["akto_stream"]),
        redaction=_redaction(known),
        honor_ignore=known["akto_honor_ignore"],
        skip=tuple(dict.fromkeys(chain.from_iterable(_each(known, "akto_skip", option_values.noise)))),
        pause=known["akto_pause"],
        sampling=_sampling(known),
        ingest_path=sink.destination.path or INGEST_PATH,
    )


def _sampling(known: Mapping[str, Any]) -> Sampling:
    return Sampling(
        novel=known["akto_sample"] == "novel",
        window_s=known["akto_sample_window_s"],
        per_window=known["akto_sample_per_window"],
        entries_s=known["akto_max_entries_s"],
        bytes_s=known["akto_max_bytes_s"],
        memory=known["akto_sample_bytes"],
    )


def _tag(known: Mapping[str, Any], environ: Mapping[str, str], *, worker: bool) -> str:
    if worker and known["akto_tag"] == DEFAULT_TAG:
        return WORKER_TAG
    tag: str = _parsed(known, "akto_tag", lambda text: option_values.tag(text, environ))
    return tag


def _delivery(known: Mapping[str, Any], environ: Mapping[str, str], sink: SinkConfig) -> Policy:
    durability = Durability(known["akto_durability"])
    plan = SpoolPlan(_spool_dir_of(known, environ), known["akto_spool_bytes"], sink.target)
    return Policy(
        Limits(known["akto_batch_entries"], known["akto_batch_bytes"], known["akto_linger_ms"] / 1000),
        known["akto_queue_bytes"],
        known["akto_timeout_s"],
        known["akto_shutdown_s"],
        durability=durability,
        spool=None if durability is Durability.MEMORY else plan,
    )


def _screen(known: Mapping[str, Any]) -> ScreenConfig:
    return ScreenConfig(Mark(known["akto_mark"]), _parsed(known, "akto_metrics", option_values.listener))


def _spool_dir_of(known: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    """Return the spool's folder; it is not checked if nothing is ever written to disk.

    The default folder is not tested for writing in a dry run.
    """
    if known["akto_durability"] == Durability.MEMORY.value:
        return Path()
    is_used = known["akto_url"] or known["akto_spool_dir"]
    find = private_files.usable_spool_folder if is_used else private_files.spool_folder
    folder: Path = _parsed(known, "akto_spool_dir", lambda text: find(text, environ))
    return folder


def _given(option: Option, value: Any, environ: Mapping[str, str]) -> Any:
    return value or environ.get(option.env, "") if option.env else value


def _check(option: Option, value: Any) -> None:
    if not all(_is_unicode(text) for text in _texts(value)):
        raise ConfigError(option.name, value, "it must be valid UTF-8")
    if option.choices and value not in option.choices:
        raise ConfigError(
            option.name, value, f"it must be one of {', '.join(choice or 'empty' for choice in option.choices)}"
        )
    if option.bounds and not option.bounds[0] <= value <= option.bounds[1]:
        raise ConfigError(option.name, value, f"it must be between {option.bounds[0]} and {option.bounds[1]}")


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, Sequence) else []


def _is_unicode(value: str) -> bool:
    """Return whether a string is free of bytes that Python could not decode (lone surrogates)."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _parsed(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(known[name])
    except ValueError as error:
        raise ConfigError(name, known[name], str(error)) from error


def _each(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Iterable[Any]:
    return [_parsed({name: value}, name, parse) for value in known[name]]


def _redaction(known: Mapping[str, Any]) -> Redaction:
    for name in ("akto_redact_headers", "akto_redact_fields"):
        for given in known[name]:
            if not given.strip():
                raise ConfigError(name, given, "it must name something, or be `common`")
    try:
        redaction = redaction_options.read(known)
    except ValueError as error:
        raise ConfigError("akto_redact_values", known["akto_redact_values"], str(error)) from error
    used = next((name for name in REDACTS if known[name]), None)
    if used:
        _check_redaction(known, used)
    return redaction


def _check_redaction(known: Mapping[str, Any], name: str) -> None:
    try:
        selfcheck.check()
    except ValueError as error:
        version = platform.python_version()
        problem = f"{error}; run mitmproxy with another Python than {version}, and report this"
        raise ConfigError(name, known[name], problem) from error
