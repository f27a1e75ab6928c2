"""The pixels of a raw ``sensor_msgs/Image`` as an array: rows, channels, padding and byte order, no colours yet."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..errors import FrameError

#: encoding -> (dtype, channels)
LAYOUTS: dict[str, tuple[type, int]] = {
    "mono8": (np.uint8, 1), "rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono16": (np.uint16, 1), "rgb16": (np.uint16, 3), "bgr16": (np.uint16, 3), "rgba16": (np.uint16, 4),
    "bgra16": (np.uint16, 4), "8UC1": (np.uint8, 1), "16UC1": (np.uint16, 1), "32FC1": (np.float32, 1),
}


def read_raw(message: Any, what: str) -> np.ndarray:
    """Return the pixels of a raw Image as stored: [H, W] or [H, W, C].

    Without row padding and in this machine's byte order the result is a view of ``message.data``
    (bytes, array.array or uint8 array); otherwise it is a copy. Do not write to it.

    Raises:
        FrameError: unknown encoding, no pixels, rows too short, or too few bytes.
    """
    if message.encoding not in LAYOUTS:
        raise FrameError(f"{what}: expected one of {', '.join(LAYOUTS)}, got encoding '{message.encoding}'; choose "
                         "another topic or convert it (image_proc)")
    dtype, channels = LAYOUTS[message.encoding]
    return read_pixels(message, np.dtype(dtype), channels, what)


def read_pixels(message: Any, dtype: np.dtype, channels: int, what: str) -> np.ndarray:
    """Return the pixels of an Image whose encoding means ``channels`` values of ``dtype``; see ``read_raw``."""
    width, height = message.width, message.height
    row = width * channels * dtype.itemsize
    step = message.step or row
    if row == 0 or height == 0:
        raise FrameError(f"{what}: expected an image with pixels, got {width}x{height}; check the driver that "
                         "publishes it")
    if step < row:
        raise FrameError(f"{what}: expected rows of at least {row} bytes ({width} pixels {message.encoding}), got "
                         f"step {step}; check the driver that publishes it")
    data = np.frombuffer(message.data, dtype=np.uint8)
    data.flags.writeable = False
    if data.size < step * (height - 1) + row:
        raise FrameError(f"{what}: expected {height} rows of {step} bytes ({width} pixels {message.encoding}), got "
                         f"{data.size} bytes; the message is cut off")
    if step == row:
        stored = data[:height * row].view(dtype)
    else:
        rows = np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)
        stored = np.ascontiguousarray(rows).view(dtype)
    if dtype.itemsize > 1 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        stored = stored.byteswap()
    stored = np.require(stored, requirements=["A"])  # a received message may start at any address
    return stored.reshape((height, width, channels) if channels > 1 else (height, width))
