"""Cyclone DDS through ctypes: the C functions in use, typed, and samples in and out as serialised bytes.

Calls through ctypes release Python's global lock, so a write or wait that blocks stops nobody else. The
layout of a sample container is private to the binding; ``participant`` loops a sample through at start.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_int, c_int16, c_int32, c_int64, c_size_t, c_uint8
from ctypes import c_uint32, c_uint64, c_void_p
from functools import lru_cache
from typing import Any

from ...errors import BackendError, RosError

VERSION = "11.0.1"
INFINITE = 0x7FFFFFFFFFFFFFFF
ANY_STATE = 3 | 3 << 2 | 7 << 4  # of sample, view, instance
TIMEOUT = -10
_GONE = (-3, -9, -12)  # bad parameter, already deleted, illegal operation: the entity went away meanwhile


class SampleInfo(Structure):
    """``dds_sample_info_t``."""

    _fields_ = [("sample_state", c_int), ("view_state", c_int), ("instance_state", c_int), ("valid_data", c_bool),
                ("source_timestamp", c_int64), ("instance_handle", c_uint64), ("publication_handle", c_uint64),
                ("counts", c_uint32 * 5)]


class Endpoint(Structure):
    """``dds_builtintopic_endpoint_t``: a discovered writer or reader."""

    _fields_ = [("key", c_uint8 * 16), ("participant_key", c_uint8 * 16), ("participant_handle", c_uint64),
                ("topic_name", c_char_p), ("type_name", c_char_p), ("qos", c_void_p)]


class MatchedStatus(Structure):
    """``dds_publication_matched_status_t`` and its twin for subscriptions."""

    _fields_ = [("total", c_uint32), ("total_change", c_int32), ("current", c_uint32),
                ("current_change", c_int32), ("last_handle", c_uint64)]


class _Container(Structure):
    """A sample of the Python binding's type plug-in."""

    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class _Iovec(Structure):
    _fields_ = [("base", c_void_p), ("length", c_size_t)]


_ENTITY, _QOS, _SERDATA = c_int32, c_void_p, c_void_p
#: Function -> (result, arguments). A negative ``c_int32`` result is an error code.
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "dds_create_domain": (_ENTITY, [c_uint32, c_char_p]),
    "dds_create_participant": (_ENTITY, [c_uint32, _QOS, c_void_p]),
    "dds_create_reader": (_ENTITY, [_ENTITY, _ENTITY, _QOS, c_void_p]),
    "dds_create_writer": (_ENTITY, [_ENTITY, _ENTITY, _QOS, c_void_p]),
    "dds_create_readcondition": (_ENTITY, [_ENTITY, c_uint32]),
    "dds_create_guardcondition": (_ENTITY, [_ENTITY]),
    "dds_set_guardcondition": (c_int32, [_ENTITY, c_bool]),
    "dds_create_waitset": (_ENTITY, [_ENTITY]),
    "dds_waitset_attach": (c_int32, [_ENTITY, _ENTITY, c_int64]),
    "dds_waitset_detach": (c_int32, [_ENTITY, _ENTITY]),
    "dds_waitset_wait": (c_int32, [_ENTITY, POINTER(c_int64), c_size_t, c_int64]),
    "dds_set_status_mask": (c_int32, [_ENTITY, c_uint32]),
    "dds_delete": (c_int32, [_ENTITY]),
    "dds_write": (c_int32, [_ENTITY, POINTER(_Container)]),
    "dds_takecdr": (c_int32, [_ENTITY, POINTER(_SERDATA), c_uint32, POINTER(SampleInfo), c_uint32]),
    "dds_take": (c_int32, [_ENTITY, POINTER(c_void_p), POINTER(SampleInfo), c_size_t, c_uint32]),
    "dds_return_loan": (c_int32, [_ENTITY, POINTER(c_void_p), c_int32]),
    "dds_get_guid": (c_int32, [_ENTITY, c_uint8 * 16]),
    "dds_get_publication_matched_status": (c_int32, [_ENTITY, POINTER(MatchedStatus)]),
    "dds_get_subscription_matched_status": (c_int32, [_ENTITY, POINTER(MatchedStatus)]),
    "dds_get_matched_publication_data": (POINTER(Endpoint), [_ENTITY, c_uint64]),
    "dds_get_matched_subscription_data": (POINTER(Endpoint), [_ENTITY, c_uint64]),
    "dds_get_matched_subscriptions": (c_int32, [_ENTITY, POINTER(c_uint64), c_size_t]),
    "dds_builtintopic_free_endpoint": (None, [POINTER(Endpoint)]),
    "dds_strretcode": (c_char_p, [c_int32]),
    "dds_free": (None, [c_void_p]),
    "dds_create_qos": (_QOS, []),
    "dds_delete_qos": (None, [_QOS]),
    "dds_qset_history": (None, [_QOS, c_int, c_int32]),
    "dds_qset_reliability": (None, [_QOS, c_int, c_int64]),
    "dds_qset_durability": (None, [_QOS, c_int]),
    "dds_qset_durability_service": (None, [_QOS, c_int64, c_int, c_int32, c_int32, c_int32, c_int32]),
    "dds_qset_liveliness": (None, [_QOS, c_int, c_int64]),
    "dds_qset_writer_data_lifecycle": (None, [_QOS, c_bool]),
    "dds_qset_data_representation": (None, [_QOS, c_uint32, POINTER(c_int16)]),
    "dds_qset_userdata": (None, [_QOS, c_char_p, c_size_t]),
    "dds_qget_history": (c_bool, [_QOS, POINTER(c_int), POINTER(c_int32)]),
    "dds_qget_reliability": (c_bool, [_QOS, POINTER(c_int), POINTER(c_int64)]),
    "dds_qget_durability": (c_bool, [_QOS, POINTER(c_int)]),
    "ddsi_serdata_size": (c_uint32, [_SERDATA]),
    "ddsi_serdata_to_ser_ref": (_SERDATA, [_SERDATA, c_size_t, c_size_t, POINTER(_Iovec)]),
    "ddsi_serdata_to_ser_unref": (None, [_SERDATA, POINTER(_Iovec)]),
    "ddsi_serdata_unref": (None, [_SERDATA]),
}


@lru_cache(maxsize=None)
def library() -> Any:
    """Return the Cyclone DDS library that the binding bundles, with typed functions.

    Raises:
        BackendError: the binding is missing, of another version, or does not load.
    """
    try:
        found = importlib.metadata.version("cyclonedds")
    except importlib.metadata.PackageNotFoundError as error:
        raise BackendError("cyclonedds: expected ROS 2 (rclpy) or the package cyclonedds, got neither; source a ROS 2 "
                           "install or pip install 'uois_sam_ros[dds]'") from error
    if found != VERSION:
        raise BackendError(f"cyclonedds: expected version {VERSION}, whose inner interface is used, got {found}; "
                           "pip install 'uois_sam_ros[dds]'")
    try:
        from cyclonedds.internal import DDS

        lib = ctypes.CDLL(DDS._dll_handle._name)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except Exception as error:  # a loader fails in its own ways
        raise BackendError(f"cyclonedds: expected a library that loads on this machine, got: {error}; "
                           "use a real ROS 2 install here") from error
    return lib


def check(code: int, what: str) -> int:
    """Return a result of DDS.

    Raises:
        RosError: the result is an error code.
    """
    if code < 0:
        reason = library().dds_strretcode(code).decode()
        raise RosError(f"{what}: expected DDS to do it, got '{reason}' ({code}); check CYCLONEDDS_URI and the network")
    return code


def write(writer: int, data: bytearray) -> int:
    """Write a sample of serialised bytes (header included, length a multiple of 4); return the result code."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(data))
    return library().dds_write(writer, byref(_Container(address, len(data))))


class _Loan:
    """A received sample; its bytes live until nothing refers to them any more."""

    __slots__ = ("_serdata", "_vector", "_release")

    def __init__(self, serdata: int, vector: _Iovec, release: Any) -> None:
        self._serdata, self._vector, self._release = serdata, vector, release

    def __del__(self) -> None:
        self._release(self._serdata, byref(self._vector))


def take(reader: int) -> tuple[memoryview | None, SampleInfo] | None:
    """Take one sample: a read-only view of its bytes, header included, without a copy.

    The view is ``None`` when the sample only tells that a writer went away; the result is ``None`` when
    nothing waits or the reader was deleted meanwhile.
    """
    lib, serdata, info = library(), _SERDATA(), SampleInfo()
    count = lib.dds_takecdr(reader, byref(serdata), 1, byref(info), ANY_STATE)
    if count <= 0:
        if count < 0 and count not in _GONE:
            check(count, "take")
        return None
    if not info.valid_data:
        lib.ddsi_serdata_unref(serdata)
        return None, info
    vector, size = _Iovec(), lib.ddsi_serdata_size(serdata)
    held = lib.ddsi_serdata_to_ser_ref(serdata, 0, size, byref(vector))
    lib.ddsi_serdata_unref(serdata)
    buffer = (c_uint8 * size).from_address(vector.base)
    buffer.loan = _Loan(held, vector, lib.ddsi_serdata_to_ser_unref)  # released with the buffer
    return memoryview(buffer).cast("B").toreadonly(), info


def guid(entity: int) -> bytes:
    """Return the 16 bytes that identify an entity on the network."""
    value = (c_uint8 * 16)()
    check(library().dds_get_guid(entity, value), "guid")
    return bytes(value)


def matched(entity: int, *, writer: bool) -> int:
    """Return how many endpoints match this writer or reader now."""
    status = MatchedStatus()
    function = "dds_get_publication_matched_status" if writer else "dds_get_subscription_matched_status"
    return status.current if getattr(library(), function)(entity, byref(status)) >= 0 else 0
