"""`akto-mirror inventory`: describes the API in recorded files, as a list or as an OpenAPI document."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from akto_mirror.cli.terminal import UsageError, UserError, say
from akto_mirror.counts import count
from akto_mirror.escaping import isolated, printable
from akto_mirror.ingestion import documents
from akto_mirror.ingestion.documents import CHANGED, GONE, NEW, Change, build, compare
from akto_mirror.ingestion.inventory import Inventory
from akto_mirror.replay import files

MAX_BASE_BYTES = 64 * 1024 * 1024
DIFFERENT = 1


def run(args: argparse.Namespace) -> int:
    """Read the files, and show or write the list or document.

    Returns:
        The exit code: 0, or 1 if something differs from `--base`.

    Raises:
        UsageError: If an option is wrong.
        UserError: If a file cannot be read or written, or the files contain no entries.
    """
    base = _read_base(args.base) if args.base else None
    inventory = Inventory()
    skipped = _fill(inventory, args)
    endpoints = inventory.endpoints(args.host.lower())
    _tell(inventory, skipped)
    if not endpoints:
        raise UserError(_nothing(inventory, args.host))
    samples = None if args.no_examples else inventory.samples
    if args.openapi or args.output:
        _write(build(endpoints, samples), args.output, quiet=base is not None and args.output is None)
    if base is not None:
        return _compare(args.base, base, build(endpoints))
    if not (args.openapi or args.output):
        _list(inventory, args.host.lower())
    return 0


def _fill(inventory: Inventory, args: argparse.Namespace) -> Counter[str]:
    """Read all files; returns the number of skipped flows, by reason."""
    skipped: Counter[str] = Counter()
    try:
        for entry in files.read(args.files, args.set, skipped):
            inventory.add(entry)
    except files.ConfigError as error:
        raise UsageError(str(error)) from error
    except files.UnreadableError as error:
        raise UserError(str(error)) from error
    return skipped


def _tell(inventory: Inventory, skipped: Counter[str]) -> None:
    """Report on standard error what was read, so that standard output contains only the document."""
    endpoints, hosts = inventory.sizes
    found = f"{count(inventory.total, 'entry')}, {count(endpoints, 'endpoint')}"
    sys.stderr.write(f"{found}, {count(hosts, 'host')}\n")
    for reason, number in skipped.most_common(10):
        sys.stderr.write(f"skipped: {number:,} ({isolated(printable(reason))})\n")


def _nothing(inventory: Inventory, host: str) -> str:
    if inventory.total:
        names = ", ".join(dict.fromkeys(endpoint.host for endpoint in inventory.endpoints()))
        return f"no endpoint of the host {printable(host)}; there are: {isolated(printable(names))}"
    return "no entry in these files; to see what is skipped, run: akto-mirror replay --dry-run FILE"


def _write(document: dict[str, Any], output: Path | None, *, quiet: bool) -> None:
    as_json = output is not None and output.suffix == ".json"
    text = documents.text(document, as_json=as_json)
    if output is None:
        if not quiet:
            say(text.rstrip("\n"))
        return
    try:
        # Traffic may be confidential: a new file is readable by its owner only.
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise UserError(f"cannot write {shown(output)}: {error.strerror}; name another file with -o") from error


def _list(inventory: Inventory, host: str) -> None:
    lines = [("METHOD", "PATH", "ENTRIES", "STATUSES", "AUTH", "SENSITIVE", "MARKS")]
    at = ""
    for endpoint in inventory.endpoints(host):
        marks = ", ".join([*endpoint.marks, *endpoint.concerns])
        statuses = ",".join(sorted(endpoint.statuses))
        lines.append(
            (
                *(endpoint.method, endpoint.path, f"{endpoint.count:,}", statuses),
                *(",".join(endpoint.auth_kinds), ",".join(endpoint.sensitive_kinds), marks),
            )
        )
    cells = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    hosts = ["", *(endpoint.host for endpoint in inventory.endpoints(host))]
    for name, line in zip(hosts, cells, strict=True):
        if name != at:
            say(f"\n{isolated(printable(name))}")
            at = name
        say(
            "  ".join(
                isolated(cell) + " " * (width - len(cell)) for cell, width in zip(line, widths, strict=True)
            ).rstrip()
        )


def _read_base(path: Path) -> dict[str, Any]:
    """Read an OpenAPI document.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BASE_BYTES + 1)
    except OSError as error:
        raise UserError(f"{shown(path)}: {error.strerror or error}; name an OpenAPI document with --base") from error
    if len(data) > MAX_BASE_BYTES:
        raise UserError(f"{shown(path)}: over {MAX_BASE_BYTES >> 20} MiB; an OpenAPI document is smaller")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        document = _read_yaml(path, data)
    if not isinstance(document, dict):
        raise UserError(f"{shown(path)}: not an OpenAPI document: not a JSON or YAML object")
    return document


def _read_yaml(path: Path, data: bytes) -> Any:
    # The parser that mitmproxy uses for its config.yaml.
    from ruamel.yaml import YAML  # noqa: PLC0415 - only where a document is not JSON

    try:
        return YAML(typ="safe", pure=True).load(data.decode("utf-8-sig"))
    except Exception as error:
        why = " ".join(str(error).split())
        raise UserError(f"{shown(path)}: neither YAML nor JSON ({printable(why, 160)})") from error


def _compare(path: Path, base: dict[str, Any], document: dict[str, Any]) -> int:
    try:
        changes = compare(base, document)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(path)}: {printable(str(error))}") from error
    for change in changes:
        say(_line(change))
        for detail in change.details:
            say(f"           {isolated(printable(detail))}")
    numbers = Counter(change.kind for change in changes)
    say(f"{numbers[NEW]} new, {numbers[CHANGED]} changed, {numbers[GONE]} gone")
    return DIFFERENT if changes else 0


def _line(change: Change) -> str:
    return f"{change.kind:<7}  {printable(change.method)} {isolated(printable(change.path))}"


def shown(path: Path) -> str:
    """Return a file's name, escaped for a terminal."""
    return isolated(printable(str(path)))
