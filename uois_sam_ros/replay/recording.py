"""Write frames as a rosbag2 recording with the topics of an RGB-D camera."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..types import Frame
from .results import encode_png

COLOR_TOPIC = "/camera/color/image_raw/compressed"
DEPTH_TOPIC = "/camera/aligned_depth_to_color/image_raw/compressedDepth"
INFO_TOPIC = "/camera/color/camera_info"
TRUTH_TOPIC = "/ground_truth/label/compressed"
_FRAME_ID = "camera_color_optical_frame"
#: compressedDepth puts 12 bytes before the PNG; for integer depth they are zero.
_DEPTH_HEADER = bytes(12)
#: PNG settings of a recording: size matters more than the time to write it.
_SMALLEST = (cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED)


def write_recording(path: str | Path, frames: Iterable[tuple[Frame, np.ndarray | None]], *,
                    jpeg_quality: int = 90, depth_step_mm: int = 1) -> int:
    """Write one ``.mcap`` file; return the number of frames.

    Colour goes out as JPEG, depth as 16-bit PNG in millimetres (compressedDepth), the camera info
    with every frame, the truth (uint16[H, W] or ``None``) as 16-bit PNG. Stamps are those of the
    frames. The file appears whole or not at all.

    Args:
        jpeg_quality: of the colour images, 1 to 100.
        depth_step_mm: depth is stored in steps of so many millimetres; coarser is smaller.

    Raises:
        InputError: the path does not end in .mcap, no frames, or a frame without intrinsics.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer

    path = Path(path)
    if path.suffix != ".mcap":
        raise InputError(f"{path}: expected a file name that ends in .mcap, got '{path.name}'")
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        folder = Path(scratch) / path.stem
        with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            topics = _Topics(writer, jpeg_quality, depth_step_mm)
            for frame, truth in frames:
                if frame.intrinsics is None:
                    raise InputError(f"{frame.name}: expected intrinsics, got none; a recording needs camera info")
                topics.write(frame, truth)
                count += 1
        if count == 0:
            raise InputError(f"{path}: expected at least one frame to record, got none")
        shutil.move(str(next(folder.glob("*.mcap"))), path)
    return count


class _Topics:
    """The open connections of a recording and the messages that go there."""

    def __init__(self, writer: Any, jpeg_quality: int, depth_step_mm: int) -> None:
        from rosbags.typesys import Stores, get_typestore

        self._jpeg_quality, self._depth_step_mm = jpeg_quality, depth_step_mm
        self._writer, self._store = writer, get_typestore(Stores.ROS2_HUMBLE)
        self._types = self._store.types
        self._connections = {
            topic: writer.add_connection(topic, f"sensor_msgs/msg/{kind}", typestore=self._store)
            for topic, kind in ((INFO_TOPIC, "CameraInfo"), (COLOR_TOPIC, "CompressedImage"),
                                (DEPTH_TOPIC, "CompressedImage"), (TRUTH_TOPIC, "CompressedImage"))}

    def write(self, frame: Frame, truth: np.ndarray | None) -> None:
        header = self._header(frame.stamp_ns)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality]
        done, jpeg = cv2.imencode(".jpg", frame.color[:, :, ::-1], quality)
        if not done:
            raise InputError(f"{frame.name}: the JPEG encoder refused the colour image")
        self._send(INFO_TOPIC, self._camera_info(header, frame), frame.stamp_ns)
        self._send_image(COLOR_TOPIC, header, "bgr8; jpeg compressed bgr8", jpeg.tobytes(), frame.stamp_ns)
        if frame.depth_m is not None:
            depth_mm = to_millimetres(frame.depth_m, self._depth_step_mm)
            png = _DEPTH_HEADER + encode_png(depth_mm, _SMALLEST)
            self._send_image(DEPTH_TOPIC, header, "16UC1; compressedDepth png", png, frame.stamp_ns)
        if truth is not None:
            png = encode_png(truth.astype(np.uint16), _SMALLEST)
            self._send_image(TRUTH_TOPIC, header, "16UC1; png compressed", png, frame.stamp_ns)

    def _header(self, stamp_ns: int) -> Any:
        time = self._types["builtin_interfaces/msg/Time"](stamp_ns // 1_000_000_000, stamp_ns % 1_000_000_000)
        return self._types["std_msgs/msg/Header"](time, _FRAME_ID)

    def _camera_info(self, header: Any, frame: Frame) -> Any:
        k = frame.intrinsics
        matrix = np.array([k.fx, 0, k.cx, 0, k.fy, k.cy, 0, 0, 1], np.float64)
        projection = np.insert(matrix, [3, 6, 9], 0.0)
        roi = self._types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        return self._types["sensor_msgs/msg/CameraInfo"](
            header, frame.height, frame.width, "plumb_bob", np.zeros(5), matrix, np.eye(3).ravel(), projection,
            0, 0, roi)

    def _send_image(self, topic: str, header: Any, form: str, data: bytes, stamp_ns: int) -> None:
        kind = self._types["sensor_msgs/msg/CompressedImage"]
        self._send(topic, kind(header, form, np.frombuffer(data, np.uint8)), stamp_ns)

    def _send(self, topic: str, message: Any, stamp_ns: int) -> None:
        connection = self._connections[topic]
        self._writer.write(connection, stamp_ns, self._store.serialize_cdr(message, connection.msgtype))


def to_millimetres(depth_m: np.ndarray, step_mm: int = 1) -> np.ndarray:
    """Return uint16[H, W] millimetres, multiples of ``step_mm``; invalid or beyond 65.5 m is 0."""
    value = np.round(np.nan_to_num(depth_m, nan=0.0, posinf=0.0, neginf=0.0) * 1000)
    depth_mm = np.where((value > 0) & (value <= 65535), value, 0).astype(np.uint16)
    return depth_mm - depth_mm % np.uint16(step_mm)
