"""Quality of service: rclpy's profile, and its form in DDS."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum

from ...errors import RosError
from .dds import INFINITE, library

#: A reliable KEEP_ALL writer whose reader stalls gives up on a sample after this time, so that the node lives on.
MAX_BLOCKING_NS = 100_000_000


class ReliabilityPolicy(IntEnum):
    """Whether lost samples are sent again."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3


class DurabilityPolicy(IntEnum):
    """Whether late subscribers get earlier samples."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3


class HistoryPolicy(IntEnum):
    """How many samples wait."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class QoSProfile:
    """Keep the last ``depth`` samples, reliable and volatile, unless told otherwise."""

    depth: int = 10
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
    history: HistoryPolicy = HistoryPolicy.KEEP_LAST

    def __post_init__(self) -> None:
        if self.history != HistoryPolicy.KEEP_ALL and self.depth < 0:
            raise RosError(f"QoS depth: expected 0 or more samples, got {self.depth}")

    @staticmethod
    def of(profile: QoSProfile | int) -> QoSProfile:
        """Return the profile; a number is a depth, as in rclpy."""
        return profile if isinstance(profile, QoSProfile) else QoSProfile(depth=profile)


def to_dds(profile: QoSProfile, user_data: str) -> ctypes.c_void_p:
    """Return a new DDS QoS object as ``rmw_cyclonedds_cpp`` makes it; the caller deletes it."""
    lib = library()
    qos = lib.dds_create_qos()
    reliable = profile.reliability != ReliabilityPolicy.BEST_EFFORT
    keep_all = profile.history == HistoryPolicy.KEEP_ALL
    kind, depth = (1, -1) if keep_all else (0, max(profile.depth, 1))
    lib.dds_qset_history(qos, kind, depth)
    lib.dds_qset_reliability(qos, int(reliable), MAX_BLOCKING_NS if reliable else 0)
    if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        lib.dds_qset_durability(qos, 1)
        lib.dds_qset_durability_service(qos, 0, kind, depth, -1, -1, -1)
    else:
        lib.dds_qset_durability(qos, 0)
    lib.dds_qset_liveliness(qos, 0, INFINITE)
    lib.dds_qset_writer_data_lifecycle(qos, False)
    representations = (ctypes.c_int16 * 1)(0)  # plain CDR, the only one that ROS 2 speaks
    lib.dds_qset_data_representation(qos, 1, representations)
    encoded = user_data.encode()
    lib.dds_qset_userdata(qos, encoded, len(encoded))
    return qos


def from_dds(qos: ctypes.c_void_p) -> QoSProfile:
    """Return the profile that a discovered endpoint announces."""
    lib = library()
    kind, depth, value, blocking = ctypes.c_int(0), ctypes.c_int32(1), ctypes.c_int(0), ctypes.c_int64()
    lib.dds_qget_history(qos, ctypes.byref(kind), ctypes.byref(depth))
    history = HistoryPolicy.KEEP_ALL if kind.value == 1 else HistoryPolicy.KEEP_LAST
    lib.dds_qget_reliability(qos, ctypes.byref(value), ctypes.byref(blocking))
    reliability = ReliabilityPolicy.RELIABLE if value.value == 1 else ReliabilityPolicy.BEST_EFFORT
    value = ctypes.c_int(0)
    lib.dds_qget_durability(qos, ctypes.byref(value))
    durability = DurabilityPolicy.TRANSIENT_LOCAL if value.value >= 1 else DurabilityPolicy.VOLATILE
    return QoSProfile(max(depth.value, 0), reliability, durability, history)


SENSOR_DATA = QoSProfile(5, ReliabilityPolicy.BEST_EFFORT)
SERVICES = QoSProfile(10)
PARAMETER_EVENTS = QoSProfile(1000)
ROSOUT = QoSProfile(1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DISCOVERY_WRITER = QoSProfile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DISCOVERY_READER = QoSProfile(0, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_ALL)
