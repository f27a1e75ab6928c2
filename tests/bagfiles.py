"""Small rosbag2 recordings, written by the tests that read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from tabletop import tabletop

STORE = get_typestore(Stores.ROS2_HUMBLE)
COLOR, DEPTH, INFO, TRUTH = (
    "/cam/color/image_raw", "/cam/aligned_depth_to_color/image_raw", "/cam/color/camera_info", "/ground_truth/label")
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_000_000
STORAGE = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}


@dataclass(frozen=True)
class Raw:
    """Bytes to store as they are, as a message of the named type."""

    data: bytes
    __msgtype__: str


def make(kind: str, *values):
    """Build a message of the named type from its fields in order."""
    return STORE.types[kind](*values)


def header(stamp_ns: int):
    time = make("builtin_interfaces/msg/Time", stamp_ns // 10**9, stamp_ns % 10**9)
    return make("std_msgs/msg/Header", time, "camera")


def image(stamp_ns: int, encoding: str, pixels: np.ndarray, *, padding: int = 0, big_endian: bool = False):
    """A raw Image; ``padding`` bytes of 0xEE end every row."""
    height, width = pixels.shape[:2]
    stored = pixels.astype(pixels.dtype.newbyteorder(">")) if big_endian else pixels
    rows = np.frombuffer(stored.tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return make("sensor_msgs/msg/Image", header(stamp_ns), height, width, encoding, int(big_endian),
                rows.shape[1], rows.ravel())


def compressed(stamp_ns: int, form: str, data: bytes):
    return make("sensor_msgs/msg/CompressedImage", header(stamp_ns), form, np.frombuffer(data, np.uint8))


def camera_info(stamp_ns: int, width: int, height: int, focal: float = 60.0):
    k = np.array([focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1], np.float64)
    roi = make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    return make("sensor_msgs/msg/CameraInfo", header(stamp_ns), height, width, "plumb_bob", np.zeros(5), k,
                np.eye(3).ravel(), np.insert(k, [3, 6, 9], 0.0), 0, 0, roi)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_bag(folder: Path, messages, storage: str = "mcap") -> Path:
    """Write (topic, log time, message) triples; a bare topic string adds a topic without messages."""
    with Writer(folder, version=9, storage_plugin=STORAGE[storage]) as writer:
        connections = {}
        for entry in messages:
            topic, stamp_ns, message = (entry[0], 0, entry[1]) if len(entry) == 2 else entry
            kind = message if isinstance(message, str) else message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            if isinstance(message, Raw):
                writer.write(connections[topic], stamp_ns, message.data)
            elif not isinstance(message, str):
                writer.write(connections[topic], stamp_ns, STORE.serialize_cdr(message, kind))
    return folder


def frames(count: int, shape=(48, 64)):
    """Yield (stamp, colour BGR, depth uint16 mm, label) that differ from frame to frame."""
    height, width = shape
    for index in range(count):
        rng = np.random.default_rng(index)
        color = cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (width, height))
        depth = np.full(shape, 800, np.uint16)
        depth[10:30, 10 + index:30 + index] = 740
        label = np.zeros(shape, np.uint16)
        label[10:30, 10 + index:30 + index] = 1
        yield START_NS + index * PERIOD_NS, color, depth, label


def raw_messages(count: int, shape=(48, 64), *, skip=()):
    """A camera's raw topics, camera info first; roles in ``skip`` are left out."""
    entries = []
    for stamp, color, depth, label in frames(count, shape):
        entries += [
            ("info", INFO, camera_info(stamp, shape[1], shape[0])),
            ("color", COLOR, image(stamp, "bgr8", color)),
            ("depth", DEPTH, image(stamp + 4_000_000, "16UC1", depth)),
            ("truth", TRUTH, image(stamp, "16UC1", label))]
    return [(topic, m.header.stamp.sec * 10**9 + m.header.stamp.nanosec, m)
            for role, topic, m in entries if role not in skip]


def tabletop_messages(count: int, *, truth: bool = False):
    """Raw topics of a camera that looks at the ray-cast tabletop; (topic, log time, message) triples."""
    frame, label, _ = tabletop()
    messages = []
    for index in range(count):
        stamp = START_NS + index * PERIOD_NS
        depth = np.round(frame.depth_m * 1000).astype(np.uint16)
        messages += [(COLOR, stamp, image(stamp, "rgb8", frame.color)),
                     (DEPTH, stamp, image(stamp, "16UC1", depth)),
                     (INFO, stamp, camera_info(stamp, 320, 240, focal=288))]
        if truth:
            messages.append((TRUTH, stamp, image(stamp, "mono8", label.astype(np.uint8))))
    return messages
