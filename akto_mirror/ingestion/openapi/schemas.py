"""Turns shapes into schemas of JSON Schema 2020-12, which OpenAPI 3.1 uses (pure)."""

from __future__ import annotations

from typing import Any

from akto_mirror.ingestion.entries.endpoints import Body
from akto_mirror.ingestion.entries.sensitive import is_secret
from akto_mirror.ingestion.entries.shapes import (
    ARRAY_BIT,
    BITS,
    INTEGER_BIT,
    OBJECT_BIT,
    STRING_BIT,
    Shape,
    choices,
    merge,
    rows,
    type_names,
)
from akto_mirror.path_templates import ID

Schema = dict[str, Any]

NULL_BIT, NUMBER_BIT = BITS["null"], BITS["number"]
# Types that JSON does not have: bytes and files are strings, a protobuf message is an object.
AS_TYPE = {"bytes": "string", "file": "string", "message": "object"}
WIDE = {1: "int64"}


def body_schema(body: Body) -> Schema:
    """Return the schema of the payloads in one media type, by how they were read."""
    if body.form == "grpc":
        fields = ", ".join(
            f"{row.name} {'|'.join(type_names(row.types))}" for row, _ in rows(body.shape, 0) if row.name
        )
        return {
            "type": "string",
            "format": "binary",
            "description": f"gRPC messages; fields by number: {fields or '-'}",
        }
    if body.form == "events":
        return {"type": "string", "description": "An event stream.", "x-event-data": schema(body.shape)}
    if body.form == "xml":
        return _xml(body.shape)
    if body.form == "text" or not body.shape.count:
        return {"type": "string"}
    return schema(body.shape)


def schema(shape: Shape) -> Schema:
    """Return a schema that all values of a shape satisfy."""
    made: Schema = _type(shape)
    if shape.types & OBJECT_BIT:
        made |= _object(shape)
    if shape.types & ARRAY_BIT:
        made["items"] = schema(shape.items) if shape.items is not None and shape.items.count else {}
    return made


def parameter_schema(shape: Shape) -> Schema:
    """Return the schema of a parameter; one that was repeated in a request is an array."""
    if not shape.types & ARRAY_BIT:
        return schema(shape)
    each = Shape(shape.name)
    merge(each, shape)
    each.types &= ~ARRAY_BIT
    if each.items is not None:
        merge(each, each.items)
        each.items = None
    return {"type": "array", "items": schema(each)}


def _type(shape: Shape) -> Schema:
    names = list(dict.fromkeys(AS_TYPE.get(name, name) for name in type_names(shape.types)))
    if "number" in names and "integer" in names:
        names.remove("integer")
    # By convention null comes last, and generators expect it there.
    names = [name for name in names if name != "null"] + ["null"] * ("null" in names)
    made: Schema = {"type": names[0] if len(names) == 1 else names} if names else {}
    kinds = shape.types & ~NULL_BIT
    if kinds == BITS["file"]:
        made["format"] = "binary"
    elif kinds == BITS["bytes"]:
        made["contentEncoding"] = "base64"
    elif kinds == INTEGER_BIT and shape.wide in WIDE:
        made["format"] = WIDE[shape.wide]
    elif kinds == STRING_BIT:
        made |= _string(shape)
    return made


def _string(shape: Shape) -> Schema:
    if shape.format:
        return {"format": shape.format}
    # A field whose name denotes a secret is not described by its values.
    if not is_secret(shape.name) and (found := choices(shape)):
        return {"enum": [*found, *([None] if shape.types & NULL_BIT else [])]}
    return {}


def _object(shape: Shape) -> Schema:
    members = {name: member for name, member in (shape.members or {}).items() if name != ID and member.count}
    made: Schema = {}
    if members:
        made["properties"] = {name: schema(member) for name, member in members.items()}
    if required := [name for name, member in members.items() if member.count == shape.objects]:
        made["required"] = required
    if shape.members and (records := shape.members.get(ID)) is not None:
        made["additionalProperties"] = schema(records)
    return made


def _xml(shape: Shape) -> Schema:
    """Return the schema of a document, whose only member is the root element."""
    roots = [(name, member) for name, member in (shape.members or {}).items() if name.startswith("/")]
    if len(roots) != 1:
        return {"type": "object"}
    name, root = roots[0]
    return _element(root) | {"xml": _xml_name(name[1:])}


def _element(shape: Shape) -> Schema:
    if not shape.types & OBJECT_BIT:
        if shape.types & ARRAY_BIT:
            return {"type": "array", "items": _element(shape.items) if shape.items else {"type": "string"}}
        return _type(shape) or {"type": "string"}
    made: Schema = {"type": "object", "properties": {}}
    for name, member in (shape.members or {}).items():
        if name == "#":
            made["description"] = "Contains text in addition to its attributes."
        elif name.startswith("@"):
            made["properties"][name[1:]] = _type(member) | {"xml": _xml_name(name[1:]) | {"attribute": True}}
        else:
            made["properties"].setdefault(name.removeprefix("/"), _element(member) | {"xml": _xml_name(name[1:])})
    return made


def _xml_name(name: str) -> Schema:
    prefix, mark, local = name.partition(":")
    return {"name": local, "prefix": prefix} if mark and local else {"name": name}
