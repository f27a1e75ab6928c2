"""Move the header stamps of messages by a constant; pure."""

from __future__ import annotations

import struct
from dataclasses import fields
from typing import Any

_SECOND = 1_000_000_000


def shift_header(raw: bytes, offset_ns: int, unset_ns: int) -> bytes:
    """Move the stamp of a serialised (CDR) message that begins with a header; nothing is decoded.

    Args:
        unset_ns: recorded time that stands for a stamp of zero.
    """
    form = "<iI" if raw[1] & 1 else ">iI"
    seconds, nanoseconds = struct.unpack_from(form, raw, 4)
    data = bytearray(raw)
    struct.pack_into(form, data, 4, *_split((seconds * _SECOND + nanoseconds or unset_ns) + offset_ns))
    return bytes(data)


def shift_all(message: Any, offset_ns: int, unset_ns: int) -> bool:
    """Move the stamp of every header inside a decoded message, wherever it is; return False when there is none."""
    found = False
    for spec in fields(message):
        value = getattr(message, spec.name)
        if getattr(value, "__msgtype__", "") == "std_msgs/msg/Header":
            stamp = value.stamp
            stamp.sec, stamp.nanosec = _split((stamp.sec * _SECOND + stamp.nanosec or unset_ns) + offset_ns)
            found = True
        elif hasattr(value, "__msgtype__"):
            found |= shift_all(value, offset_ns, unset_ns)
        elif isinstance(value, list):
            for element in value:
                found |= hasattr(element, "__msgtype__") and shift_all(element, offset_ns, unset_ns)
    return found


def _split(stamp_ns: int) -> tuple[int, int]:
    return stamp_ns // _SECOND, stamp_ns % _SECOND
