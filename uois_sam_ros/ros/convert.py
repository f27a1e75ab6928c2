"""ROS image and camera messages -> arrays. Works on any object with the messages' fields."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np

from ..errors import FrameError
from ..types import Intrinsics
from ..images import decode_image, to_label, to_metres, to_rgb

#: encoding -> (dtype, channels)
_RAW = {
    "rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4), "mono8": (np.uint8, 1), "8UC1": (np.uint8, 1), "16UC1": (np.uint16, 1),
    "mono16": (np.uint16, 1), "32FC1": (np.float32, 1),
}
_COLOR = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
_PNG_MAGIC = b"\x89PNG"
#: compressedDepth: int32 format, float32 A, float32 B before the PNG
_DEPTH_HEADER = struct.Struct("<iff")


def decode_color(message: Any, what: str) -> np.ndarray:
    """Return uint8[H, W, 3] RGB of an Image or CompressedImage.

    Raises:
        FrameError: other encoding, short data, corrupt image.
    """
    if not hasattr(message, "encoding"):
        image = decode_image(message.data, what)
        if image.dtype != np.uint8:
            raise FrameError(f"{what}: expected 8-bit colour, got {image.dtype} ('{message.format}'); "
                             "choose another --color-topic")
        return to_rgb(image)
    if message.encoding not in _COLOR:
        raise FrameError(f"{what}: expected encoding {', '.join(_COLOR)}, got '{message.encoding}'; choose "
                         "another --color-topic or convert it (image_proc)")
    image = read_raw(message, what)
    return to_rgb(image[:, :, [2, 1, 0]] if message.encoding.startswith("rgb") else image)


def decode_depth(message: Any, scale: float, what: str) -> np.ndarray:
    """Return float32[H, W] metres of a 16UC1 (times ``scale``) or 32FC1 image, raw or compressedDepth.

    Raises:
        FrameError: other encoding, short data, corrupt image.
    """
    if hasattr(message, "encoding"):
        if message.encoding not in ("16UC1", "mono16", "32FC1"):
            raise FrameError(f"{what}: expected depth as 16UC1 or 32FC1, got '{message.encoding}'; choose another "
                             "--depth-topic")
        return to_metres(read_raw(message, what), scale, what)
    data = bytes(message.data)
    if _PNG_MAGIC not in data[:16]:
        raise FrameError(f"{what}: expected depth compressed as PNG, got '{message.format}'; record it with "
                         "compressedDepth in PNG format, or raw")
    if data[:4] == _PNG_MAGIC:
        return to_metres(decode_image(data, what), scale, what)
    image = decode_image(data[_DEPTH_HEADER.size:], what)
    if not message.format.startswith("32FC1"):
        return to_metres(image, scale, what)
    _, a, b = _DEPTH_HEADER.unpack_from(data)  # inverse depth, quantised: value = a / z + b
    inverse = (image.astype(np.float32) - np.float32(b)) / np.float32(a)
    known = (image > 0) & (inverse > 0)
    return np.where(known, 1 / np.where(known, inverse, 1), 0).astype(np.float32)


def decode_label(message: Any, what: str) -> np.ndarray:
    """Return uint16[H, W] ids of a 16UC1, mono16, mono8 or 8UC1 image, raw or PNG.

    Raises:
        FrameError: other encoding (JPEG changes ids), short data, corrupt image.
    """
    if hasattr(message, "encoding"):
        return to_label(read_raw(message, what), what)
    data = bytes(message.data)
    if data[:4] != _PNG_MAGIC:
        raise FrameError(f"{what}: expected labels raw or as PNG, got '{message.format}'; JPEG changes ids")
    return to_label(decode_image(data, what), what)


def decode_intrinsics(message: Any, image_hw: tuple[int, int], what: str) -> Intrinsics:
    """Return the intrinsics of CameraInfo, scaled to the picture when it has another size.

    Raises:
        FrameError: empty K (an uncalibrated camera), or another aspect ratio.
    """
    try:
        intrinsics = Intrinsics.from_matrix(message.k if hasattr(message, "k") else message.K)
    except FrameError as error:
        raise FrameError(f"{what}: {error} with --intrinsics fx,fy,cx,cy") from error
    height, width = image_hw
    if (message.width, message.height) in ((width, height), (0, 0)):
        return intrinsics
    scale_x, scale_y = width / max(message.width, 1), height / max(message.height, 1)
    if abs(scale_x - scale_y) > 0.02 * scale_y:
        raise FrameError(f"{what}: expected camera info for {width}x{height}, got one for "
                         f"{message.width}x{message.height}; choose another --info-topic or pass --intrinsics")
    return intrinsics.scaled(scale_x, scale_y)


def read_raw(message: Any, what: str) -> np.ndarray:
    """Return the pixels of a raw Image as stored: [H, W] or [H, W, C]; honours step and byte order.

    Raises:
        FrameError: unknown encoding, or fewer bytes than height x step.
    """
    if message.encoding not in _RAW:
        raise FrameError(f"{what}: expected one of {', '.join(_RAW)}, got encoding '{message.encoding}'")
    dtype, channels = _RAW[message.encoding]
    dtype = np.dtype(dtype)
    row = message.width * channels * dtype.itemsize
    data = np.frombuffer(message.data, dtype=np.uint8)
    step = message.step or row
    if row == 0 or message.height == 0:
        raise FrameError(f"{what}: expected an image with pixels, got {message.width}x{message.height}; "
                         "check the driver that recorded it")
    if step < row or data.size < step * (message.height - 1) + row:
        raise FrameError(f"{what}: expected {message.height} rows of {step} bytes ({message.width} pixels "
                         f"{message.encoding}), got {data.size} bytes; the message is cut off")
    rows = np.lib.stride_tricks.as_strided(data, (message.height, row), (step, 1), writeable=False)
    image = np.ascontiguousarray(rows).view(dtype)
    if dtype.itemsize > 1 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        image = image.byteswap()
    return image.reshape(message.height, message.width, channels) if channels > 1 else image


def header_stamp_ns(raw: bytes) -> int:
    """Read the header stamp from a serialised (CDR) message without decoding it; 0 when unset."""
    if len(raw) < 12:
        raise FrameError(f"message: expected a header of 12 bytes, got {len(raw)}")
    seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return seconds * 1_000_000_000 + nanoseconds
