"""A message type of the real protobuf library, made without a compiler: texts, numbers, bytes and nested messages."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Kinds = descriptor_pb2.FieldDescriptorProto

FIELDS = (
    ("text", 1, Kinds.TYPE_STRING, False),
    ("many", 2, Kinds.TYPE_STRING, True),
    ("inner", 3, Kinds.TYPE_MESSAGE, False),
    ("number", 4, Kinds.TYPE_INT64, False),
    ("numbers", 5, Kinds.TYPE_INT32, True),
    ("blob", 6, Kinds.TYPE_BYTES, False),
    ("notes", 7, Kinds.TYPE_MESSAGE, True),
    ("ratio", 8, Kinds.TYPE_DOUBLE, False),
    ("ratios", 9, Kinds.TYPE_DOUBLE, True),
    ("lines", 10, Kinds.TYPE_STRING, True),
    ("late", 1_000, Kinds.TYPE_FIXED32, False),
)


def _note_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="tests/notes.proto", package="tests", syntax="proto3")
    message = file.message_type.add(name="Note")
    for name, number, kind, repeated in FIELDS:
        label = Kinds.LABEL_REPEATED if repeated else Kinds.LABEL_OPTIONAL
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if kind == Kinds.TYPE_MESSAGE:
            field.type_name = ".tests.Note"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.Note"))


# The class of the messages; its fields are made at run time, so type checkers do not know them.
Note = _note_class()
