"""ROS image and camera messages -> arrays. Works on any object with the messages' fields.

Pure and without state: the node and the replay of recordings share it. ``what`` names the topic in
refusals.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError
from ..images import decode_image, to_label, to_metres, to_rgb
from ..types import Intrinsics
from . import bridge
from .pixels import read_pixels, read_raw

#: Colour encoding -> what turns its channels into RGB; ``None``: they are RGB. Those in 16 bit are narrowed first.
_TO_RGB = {
    "rgb": None, "bgr": cv2.COLOR_BGR2RGB, "rgba": cv2.COLOR_RGBA2RGB, "bgra": cv2.COLOR_BGRA2RGB,
    "mono": cv2.COLOR_GRAY2RGB,
}
COLOR_ENCODINGS = tuple(f"{name}{bits}" for bits in (8, 16) for name in _TO_RGB)
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
LABEL_ENCODINGS = ("16UC1", "mono16", "mono8", "8UC1")
MASK_ENCODINGS = ("mono8", "8UC1")
_PNG_MAGIC = b"\x89PNG"
#: compressedDepth: int32 format, float32 A, float32 B before the PNG
_DEPTH_HEADER = struct.Struct("<iff")
#: Camera info of another size is scaled when the ratios of width and height differ by less than this share.
_SAME_ASPECT = 0.02


def decode_color(message: Any, what: str) -> np.ndarray:
    """Return uint8[H, W, 3] RGB of an Image or CompressedImage; 16-bit values are divided by 257.

    An rgb8 Image without row padding gives a read-only view of its data. Bayer and YUV 4:2:2 need
    a sound cv_bridge (see ``bridge``).

    Raises:
        FrameError: other encoding, short data, corrupt image.
    """
    if not hasattr(message, "encoding"):
        return _decode_compressed_color(message, what)
    encoding = message.encoding
    if encoding in bridge.LAYOUTS:
        return bridge.decode_color(message, what)
    if encoding not in COLOR_ENCODINGS:
        remedy = (bridge.CAMERA_REMEDY if encoding.startswith(("bayer", "yuv", "nv"))
                  else "choose another colour topic or convert it (image_proc)")
        raise FrameError(f"{what}: expected encoding {', '.join(COLOR_ENCODINGS)}, got '{encoding}'; {remedy}")
    image = _to_8bit(read_raw(message, what))
    code = _TO_RGB[encoding.rstrip("0123456789")]
    return image if code is None else cv2.cvtColor(image, code)


def _decode_compressed_color(message: Any, what: str) -> np.ndarray:
    """Return uint8[H, W, 3] RGB; JPEG and PNG hold BGR (or grey) whatever the camera's encoding was."""
    image = _decode_file(np.frombuffer(message.data, np.uint8), message, what)
    camera = message.format.partition(";")[0].strip()
    if image.ndim == 2 and camera.startswith("bayer"):
        raise FrameError(f"{what}: expected a colour image, got a compressed Bayer mosaic ('{message.format}'); "
                         f"{bridge.CAMERA_REMEDY}")
    if image.dtype == np.uint16 and (image.ndim == 3 or camera == "mono16"):
        image = _to_8bit(image)
    if image.dtype != np.uint8:
        raise FrameError(f"{what}: expected 8-bit colour, got {image.dtype}{list(image.shape)} ('{message.format}'), "
                         "which may be depth; choose another colour topic")
    return to_rgb(image)


def _to_8bit(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=1 / 257)


def decode_depth(message: Any, scale: float, what: str) -> np.ndarray:
    """Return float32[H, W] metres of a 16UC1 (times ``scale``) or 32FC1 image, raw or compressedDepth.

    A 32FC1 Image without row padding gives a read-only view of its data.

    Raises:
        FrameError: other encoding, short data, corrupt image.
    """
    if hasattr(message, "encoding"):
        if message.encoding not in DEPTH_ENCODINGS:
            raise FrameError(f"{what}: expected depth as 16UC1 or 32FC1, got '{message.encoding}'; choose another "
                             "depth topic")
        return to_metres(read_raw(message, what), scale, what)
    data = np.frombuffer(message.data, np.uint8)
    start = data[:_DEPTH_HEADER.size + len(_PNG_MAGIC)].tobytes()
    if start.startswith(_PNG_MAGIC):
        return to_metres(_decode_file(data, message, what), scale, what)
    if not start.endswith(_PNG_MAGIC):
        raise FrameError(f"{what}: expected depth compressed as PNG, got '{message.format}'; set the publisher's "
                         "compressedDepth format to png, or take the raw topic")
    image = _decode_file(data[_DEPTH_HEADER.size:], message, what)
    if not message.format.startswith("32FC1"):
        return to_metres(image, scale, what)
    _, a, b = _DEPTH_HEADER.unpack_from(start)
    return _from_inverse_depth(image, a, b, what)


def _from_inverse_depth(image: np.ndarray, a: float, b: float, what: str) -> np.ndarray:
    """Return float32[H, W] metres of quantised inverse depth, value = a / z + b; value 0 is no reading."""
    if image.dtype != np.uint16 or image.ndim != 2 or not (np.isfinite([a, b]).all() and a > 0):
        raise FrameError(f"{what}: expected inverse depth as uint16[H, W] with quantisation a > 0, got "
                         f"{image.dtype}{list(image.shape)} with a = {a:g}, b = {b:g}; the message is damaged")
    inverse = (np.arange(1 << 16, dtype=np.float32) - np.float32(b)) / np.float32(a)
    known = inverse > 0
    known[0] = False
    table = np.zeros_like(inverse)
    table[known] = 1 / inverse[known]
    return table[image]


def decode_label(message: Any, what: str) -> np.ndarray:
    """Return uint16[H, W] ids of a 16UC1, mono16, mono8 or 8UC1 image, raw or PNG.

    Raises:
        FrameError: other encoding (JPEG changes ids), short data, corrupt image.
    """
    if hasattr(message, "encoding"):
        if message.encoding not in LABEL_ENCODINGS:
            raise FrameError(f"{what}: expected labels as {', '.join(LABEL_ENCODINGS)}, got '{message.encoding}'; "
                             "choose another label topic")
        return to_label(read_raw(message, what), what)
    data = np.frombuffer(message.data, np.uint8)
    if data[:len(_PNG_MAGIC)].tobytes() != _PNG_MAGIC:
        raise FrameError(f"{what}: expected labels raw or as PNG, got '{message.format}'; JPEG changes ids")
    return to_label(_decode_file(data, message, what), what)


def decode_ignore(message: Any, image_hw: tuple[int, int], what: str) -> np.ndarray:
    """Return bool[H, W], True = ignore, of a mono8 or 8UC1 Image: every value but 0 means ignore.

    Raises:
        FrameError: other encoding, short data, or another size than the colour image's (H, W).
    """
    encoding = getattr(message, "encoding", "compressed")
    if encoding not in MASK_ENCODINGS:
        raise FrameError(f"{what}: expected a mask as raw {' or '.join(MASK_ENCODINGS)}, got '{encoding}'; publish 0 "
                         "where the scene is looked at and 255 where it is not")
    mask = read_raw(message, what)
    if mask.shape != tuple(image_hw):
        raise FrameError(f"{what}: expected a mask of {image_hw[1]}x{image_hw[0]} like the colour image, got "
                         f"{mask.shape[1]}x{mask.shape[0]}; render it with the colour camera's info")
    return mask != 0


def decode_intrinsics(message: Any, image_hw: tuple[int, int], what: str) -> Intrinsics:
    """Return the intrinsics of CameraInfo for a picture of (H, W).

    K belongs to ``width`` x ``height`` pixels (0 x 0: to the picture). A picture of another size is
    the region of interest, binned, as the message says; what then still differs is scaled.

    Raises:
        FrameError: no usable K (an uncalibrated camera), or another aspect ratio.
    """
    try:
        intrinsics = Intrinsics.from_matrix(message.k if hasattr(message, "k") else message.K)
    except FrameError as error:
        raise FrameError(f"{what}: {error}; calibrate the camera, or give fx, fy, cx, cy by hand") from error
    height, width = image_hw
    if (message.width, message.height) in ((width, height), (0, 0)):
        return intrinsics
    cropped = message.roi.width > 0 and message.roi.height > 0
    area = message.roi if cropped else message
    if cropped:
        intrinsics = Intrinsics(intrinsics.fx, intrinsics.fy, intrinsics.cx - area.x_offset,
                                intrinsics.cy - area.y_offset)
    columns, rows = area.width // max(message.binning_x, 1), area.height // max(message.binning_y, 1)
    scale_x, scale_y = width / max(columns, 1), height / max(rows, 1)
    if abs(scale_x - scale_y) > _SAME_ASPECT * scale_y:
        detail = "" if (columns, rows) == (message.width, message.height) else (
            f" ({columns}x{rows} after its region of interest and binning)")
        raise FrameError(f"{what}: expected camera info for {width}x{height}, got one for "
                         f"{message.width}x{message.height}{detail}; choose the info topic that belongs to the colour "
                         "topic, or give fx, fy, cx, cy by hand")
    return intrinsics.scaled(width / max(area.width, 1), height / max(area.height, 1))


def header_stamp_ns(raw: bytes) -> int:
    """Read the header stamp from a serialised (CDR) message without decoding it; 0 when unset."""
    if len(raw) < 12:
        raise FrameError(f"message: expected a header of 12 bytes, got {len(raw)}")
    seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _decode_file(data: np.ndarray, message: Any, what: str) -> np.ndarray:
    """Decode the PNG or JPEG bytes of a CompressedImage."""
    return decode_image(data, what, remedy=f"the message says '{message.format}'; check its publisher and the link")
