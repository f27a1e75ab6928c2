"""DDS types built from the ROS definitions, and the bytes of messages."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from rosbags.interfaces import Nodetype

from ...errors import RosError
from .messages import type_store
from .names import dds_type

#: The header that precedes every sample: plain CDR, little endian.
CDR_HEADER = b"\x00\x01\x00\x00"
#: What precedes the body of a service's request and reply: client id, sequence number.
REQUEST_ID = struct.Struct("<Qq")


@lru_cache(maxsize=None)
def idl_type(kind: str, *, is_service: bool = False) -> type:
    """Return the DDS type of a message, or of a service's request or response with its leading id."""
    from cyclonedds.idl import make_idl_struct, types

    fields = {"client_id_": types.uint64, "sequence_number_": types.int64} if is_service else {}
    for name, description in type_store().fielddefs[kind][1]:
        fields[f"{name}_"] = _idl_field(description)
    name = dds_type(kind)
    return make_idl_struct(name.rpartition("::")[2], name.replace("::", "."), fields)


def _idl_field(description: Any) -> Any:
    from cyclonedds.idl import types

    node, content = description
    if node == Nodetype.NAME:
        return idl_type(content)
    if node == Nodetype.BASE:
        if content[0] in ("bool", "string"):
            return {"bool": bool, "string": str}[content[0]]
        return getattr(types, {"byte": "uint8", "char": "uint8"}.get(content[0], content[0]))
    element, length = _idl_field(content[0]), content[1]
    if node == Nodetype.ARRAY:
        return types.array[element, length]
    return types.sequence[element, length] if length else types.sequence[element]


def type_hash(kind: str) -> str:
    """Return the type hash that endpoints of Iron and later announce."""
    return type_store().hash_rihs01(kind)


def encode(message: Any, request_id: tuple[int, int] | None = None) -> bytearray:
    """Return the sample of a message, padded to a multiple of 4; ``request_id`` leads a service's body.

    Raises:
        RosError: a field holds a value that its type cannot.
    """
    kind, store = message.__msgtype__, type_store()
    definition = store.get_msgdef(kind)
    start = len(CDR_HEADER) + (REQUEST_ID.size if request_id else 0)
    try:
        size = start + definition.getsize_cdr(0, message, store)
        data = bytearray((size + 3) & ~3)
        definition.serialize_cdr_le(memoryview(data)[start:], 0, message, store)
    except Exception as error:  # the generated code raises whatever a wrong value leads to
        raise RosError(f"{kind}: expected fields of the declared types, got one that does not serialise "
                       f"({type(error).__name__}: {error})") from error
    data[:len(CDR_HEADER)] = CDR_HEADER
    if request_id:
        REQUEST_ID.pack_into(data, len(CDR_HEADER), *request_id)
    return data


def decode(data: memoryview | bytes, kind: str) -> Any:
    """Return the message of a sample; its arrays are read-only views of the sample.

    Raises:
        RosError: the bytes are not such a message.
    """
    try:
        return type_store().deserialize_cdr(data, kind)
    except Exception as error:  # wild bytes end in any of numpy's and struct's errors
        raise RosError(f"{kind}: expected a serialised message, got {len(data)} bytes that do not decode "
                       f"({type(error).__name__}: {error}); the publisher uses another definition") from error


def decode_service(data: memoryview, kind: str) -> tuple[tuple[int, int], Any]:
    """Return ((client id, sequence number), message) of a service's request or reply."""
    start = len(CDR_HEADER)
    if len(data) < start + REQUEST_ID.size:
        raise RosError(f"{kind}: expected a request id of {REQUEST_ID.size} bytes, got {len(data) - start}")
    order = "<Qq" if data[1] & 1 else ">Qq"
    identity = struct.unpack_from(order, data, start)
    body = bytes(data[:start]) + bytes(data[start + REQUEST_ID.size:])
    return identity, decode(body, kind)
