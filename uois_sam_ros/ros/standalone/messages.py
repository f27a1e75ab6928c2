"""Message and service classes with rclpy's manners, built from definitions; needs ``rosbags``, no DDS.

A class has a keyword constructor with a default for every field, the constants of its definition, and
numeric arrays that accept ``bytes``, ``bytearray``, ``array.array``, lists and numpy, and read as numpy.
"""

from __future__ import annotations

import os
from dataclasses import field, make_dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ...errors import RosError
from .definitions import DEFAULTS, MESSAGES, SERVICES

_EMPTY = ("structure_needs_at_least_one_member", (Nodetype.BASE, ("uint8", 0)))
#: Declared with ``char``, whose type hash ``rosbags`` gets wrong; in ROS it is another name for ``uint8``.
_GID = "rmw_dds_common/msg/Gid"
_DTYPES = {"bool": np.bool_, "byte": np.uint8, "char": np.uint8, "float32": np.float32, "float64": np.float64,
           **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)}}


def distribution() -> str:
    """Return the ROS distribution whose wire format is used: ``ROS_DISTRO``, or jazzy."""
    return os.environ.get("ROS_DISTRO") or "jazzy"


@lru_cache(maxsize=None)
def type_store() -> Any:
    """Return the ``rosbags`` type store of the distribution, with this package's definitions added."""
    name = f"ROS2_{distribution().upper()}"
    store = get_typestore(getattr(Stores, name, Stores.ROS2_JAZZY))
    constants, ((name, (array, (_, length))),) = store.fielddefs[_GID]
    store.fielddefs[_GID] = (constants, [(name, (array, ((Nodetype.BASE, ("uint8", 0)), length)))])
    for kind, text in MESSAGES.items():
        store.fielddefs.setdefault(kind, get_types_from_msg(text, kind)[kind])
    for kind, texts in SERVICES.items():
        for part, text in zip((f"{kind}_Request", f"{kind}_Response"), texts):
            (constants, fields), = get_types_from_msg(text, part).values()
            store.fielddefs[part] = (constants, fields or [_EMPTY])
    return store


def message(name: str) -> type:
    """Return the class of a message such as ``sensor_msgs/msg/Image``.

    Raises:
        RosError: neither ``rosbags`` nor this package knows the message.
    """
    if type_store().fielddefs.get(name) is None:
        raise RosError(f"{name}: expected a message type such as sensor_msgs/msg/Image, got one that is not known; "
                       "use a real ROS 2 install for other types")
    return _message_class(name)


@lru_cache(maxsize=None)
def service(name: str) -> type:
    """Return the class of a service such as ``std_srvs/srv/Trigger``, with ``Request`` and ``Response``.

    Raises:
        RosError: this package does not know the service.
    """
    if name not in SERVICES:
        raise RosError(f"{name}: expected one of {', '.join(SERVICES)}, got an unknown service type; "
                       "use a real ROS 2 install for other types")
    parts = {part: _message_class(f"{name}_{part}") for part in ("Request", "Response")}
    return type(name.rpartition("/")[2], (), {"__msgtype__": name, **parts})


class ByteValue(bytes):
    """A field of ROS type ``byte``: one byte, as in rclpy, that also packs as a number."""

    def __index__(self) -> int:
        return self[0]

    def __bytes__(self) -> bytes:  # else Python 3.10 takes the number for a length
        return self[:]


class _Array:
    """A numeric array field; what is assigned becomes a numpy array of the field's type."""

    def __init__(self, kind: str, name: str, dtype: type, length: int) -> None:
        self._kind, self._name, self._length = kind, name, length
        self._dtype, self._slot = np.dtype(dtype), f"_{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance.__dict__[self._slot]

    def __set__(self, instance: Any, value: Any) -> None:
        if not (isinstance(value, np.ndarray) and value.dtype == self._dtype and value.ndim == 1):
            value = self._convert(value)
        if self._length and len(value) != self._length:
            raise RosError(f"{self._kind}.{self._name}: expected {self._length} values, got {len(value)}")
        instance.__dict__[self._slot] = value

    def _convert(self, value: Any) -> np.ndarray:
        try:
            if isinstance(value, (bytes, bytearray, memoryview)):
                return np.frombuffer(value, self._dtype)
            return np.ascontiguousarray(value, self._dtype).ravel()
        except (TypeError, ValueError) as error:
            raise RosError(f"{self._kind}.{self._name}: expected {self._dtype} values, got "
                           f"{type(value).__name__} ({error})") from error


class _Byte:
    """A scalar field of type ``byte``."""

    def __init__(self, name: str) -> None:
        self._slot = f"_{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance.__dict__[self._slot]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._slot] = ByteValue(value if isinstance(value, bytes) else bytes([value & 0xFF]))


@lru_cache(maxsize=None)
def _message_class(kind: str) -> type:
    """Build the class of one message or service part, and make ``rosbags`` decode to it."""
    store = type_store()
    constants, fields = store.fielddefs[kind]
    namespace: dict[str, Any] = {
        "__msgtype__": kind, "__eq__": _equal, "__hash__": None, "__repr__": _show,
        "get_fields_and_field_types": classmethod(lambda cls: {name: _type_text(kind_of) for name, kind_of in fields})}
    for name, kind_of, value in constants:
        namespace[name] = ByteValue([value]) if kind_of == "byte" else value
    specs, descriptors = [], {}
    for name, description in fields:
        specs.append((name, Any, _default(kind, name, description)))
        node, content = description
        if node == Nodetype.BASE and content[0] == "byte":
            descriptors[name] = _Byte(name)
        elif node in (Nodetype.ARRAY, Nodetype.SEQUENCE) and _is_numeric(content[0]):
            length = content[1] if node == Nodetype.ARRAY else 0
            descriptors[name] = _Array(kind, name, _DTYPES[content[0][1][0]], length)
    cls = make_dataclass(kind.rpartition("/")[2], specs, namespace=namespace, eq=False, repr=False)
    for name, descriptor in descriptors.items():
        setattr(cls, name, descriptor)
    cls.__module__ = kind.rpartition("/")[0].replace("/", ".")
    store.types[kind] = cls
    return cls


def _is_numeric(description: Any) -> bool:
    return description[0] == Nodetype.BASE and description[1][0] != "string"


def _default(kind: str, name: str, description: Any) -> Any:
    node, content = description
    if node == Nodetype.NAME:
        return field(default_factory=_message_class(content))
    if node == Nodetype.BASE:
        zero = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}.get(content[0], 0)
        return field(default=DEFAULTS.get((kind, name), zero))
    element, length = content
    count = length if node == Nodetype.ARRAY else 0
    if _is_numeric(element):
        dtype = _DTYPES[element[1][0]]
        return field(default_factory=lambda: np.zeros(count, dtype))
    make = _message_class(element[1]) if element[0] == Nodetype.NAME else str
    return field(default_factory=lambda: [make() for _ in range(count)])


def _equal(self: Any, other: object) -> bool:
    if type(self) is not type(other):
        return NotImplemented
    pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
    return all(np.array_equal(*pair) if isinstance(pair[0], np.ndarray) else pair[0] == pair[1] for pair in pairs)


def _show(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
    return f"{type(self).__name__}({fields})"


_TEXTS = {"float32": "float", "float64": "double", "bool": "boolean", "byte": "octet"}


def _type_text(description: Any) -> str:
    """Return a field's type as rclpy writes it: ``sequence<uint8>``, ``double[9]``, ``std_msgs/Header``."""
    node, content = description
    if node == Nodetype.NAME:
        return content.replace("/msg/", "/")
    if node == Nodetype.BASE:
        return _TEXTS.get(content[0], content[0])
    element, length = _type_text(content[0]), content[1]
    if node == Nodetype.ARRAY:
        return f"{element}[{length}]"
    return f"sequence<{element}, {length}>" if length else f"sequence<{element}>"
