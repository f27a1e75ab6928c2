"""Image files and encoded images -> arrays, with errors that name the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from .errors import FrameError

_PNG_MAGIC, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
#: Colour type of a PNG whose pixels are places in a palette.
_PNG_INDEXED = 3
_JPEG_MAGIC, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


def decode_image(data: bytes | np.ndarray, what: str, *, remedy: str = "record or copy it again") -> np.ndarray:
    """Decode PNG or JPEG bytes; channels come in OpenCV's order, dtype as stored.

    Args:
        data: bytes or uint8[n].
        what, remedy: how a refusal begins and ends.

    Raises:
        FrameError: not an image, or cut off.
    """
    raw = np.frombuffer(data, dtype=np.uint8) if not isinstance(data, np.ndarray) else data
    head, tail = raw[:8].tobytes(), raw[-64:].tobytes()
    cut = ((head.startswith(_PNG_MAGIC) and _PNG_END not in tail)
           or (head.startswith(_JPEG_MAGIC) and _JPEG_END not in raw[-4096:].tobytes()))
    image = None
    if raw.size and not cut:
        try:
            image = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
        except cv2.error:
            image = None
    if image is None:
        state = "is cut off" if cut else "cannot be decoded"
        raise FrameError(f"{what}: expected a whole PNG or JPEG image, got {raw.size} bytes that "
                         f"{state}; {remedy}")
    return image


def read_image(path: Path) -> np.ndarray:
    """Read an image file as stored (see ``decode_image``).

    Raises:
        FrameError: missing, unreadable, corrupt.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path}: expected a readable image file, got: {error.strerror}") from error
    return decode_image(data, str(path))


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Turn an image in OpenCV's order (grey, BGR or BGRA) into RGB; the dtype is left alone."""
    rgb = np.empty((*image.shape[:2], 3), image.dtype)
    red, green, blue = (0, 0, 0) if image.ndim == 2 else (2, 1, 0)
    cv2.mixChannels([image], [rgb], [red, 0, green, 1, blue, 2])
    return rgb


def to_metres(image: np.ndarray, scale: float, what: str) -> np.ndarray:
    """Turn a stored depth image into float32[H, W] metres.

    Args:
        image: uint16[H, W] in units of ``scale`` metres, or float32[H, W] in metres.

    Raises:
        FrameError: any other type, for example a colour-mapped picture of depth.
    """
    if image.ndim == 2 and image.dtype == np.uint16:
        return image.astype(np.float32) * np.float32(scale)
    if image.ndim == 2 and image.dtype == np.float32:
        return image
    raise FrameError(f"{what}: expected depth as uint16[H, W] (or float32 metres), got "
                     f"{image.dtype}{list(image.shape)}; a colour-mapped depth picture holds no "
                     "distances, export the raw depth")


def to_label(image: np.ndarray, what: str) -> np.ndarray:
    """Check a stored label image and return uint16[H, W].

    Raises:
        FrameError: not a single-channel 8- or 16-bit image.
    """
    if image.ndim == 2 and image.dtype in (np.uint8, np.uint16):
        return image.astype(np.uint16)
    raise FrameError(f"{what}: expected labels as uint8 or uint16[H, W], got "
                     f"{image.dtype}{list(image.shape)}; write ids, not colours")


def read_label(path: Path) -> np.ndarray:
    """Read a label image file as uint16[H, W] ids.

    The pixels of an indexed PNG are its ids; the palette only colours them for the eye. A picture with three equal
    channels is taken as one channel.

    Raises:
        FrameError: missing, corrupt, or colours in place of ids.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path}: expected a readable image file, got: {error.strerror}") from error
    data, step = _without_palette(data)
    image = decode_image(data, str(path), remedy="copy it again")
    if image.ndim == 3 and (image[:, :, :1] == image[:, :, :3]).all():
        image = image[:, :, 0]
    return to_label(image, str(path)) // np.uint16(step)


def _without_palette(data: bytes) -> tuple[bytes, int]:
    """Turn an indexed PNG into a grey one of the same pixels; other data stays as it is.

    Returns:
        The PNG, and the value by which its decoder multiplies a pixel: 1 at 8 bits a pixel, more at fewer bits.
    """
    if not data.startswith(_PNG_MAGIC) or len(data) < 33 or data[25] != _PNG_INDEXED:
        return data, 1
    header = data[16:25] + b"\0" + data[26:29]  # colour type 0: grey
    parts, at = [_PNG_MAGIC, _png_chunk(b"IHDR", header)], 33
    while at + 8 <= len(data):
        (size,), kind = struct.unpack(">I", data[at:at + 4]), data[at + 4:at + 8]
        if kind not in (b"PLTE", b"tRNS"):
            parts.append(data[at:at + 12 + size])
        at += 12 + size
    return b"".join(parts), 255 // ((1 << min(data[24], 8)) - 1)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
