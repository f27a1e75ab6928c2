"""Write the exporters' files: whole or not at all, and pictures in the bit depth that a planner expects."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from ..errors import FrameError, InputError
from ..replay.results import encode_png
from .points import View

#: Integer depth is stored in millimetres: metres = depth / FACTOR_DEPTH.
FACTOR_DEPTH = 1000.0
UINT16_MAX = np.iinfo(np.uint16).max


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with its folders.

    Raises:
        InputError: the folder cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"output {path}: expected a writable folder, got: {error}") from error


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed .npz; raises as ``write_bytes``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def color_png(view: View) -> bytes:
    """Encode the colour picture.

    Raises:
        FrameError: the view has none.
    """
    if view.color is None:
        raise FrameError(f"{view.name}: expected a colour picture, which this format stores, got none; subscribe to "
                         "the colour topic or choose another format")
    return encode_png(view.color[:, :, ::-1])


def stored_depth(view: View) -> np.ndarray:
    """Return uint16[H, W] millimetres; 0 where there is no reading or where it is beyond 65.5 m."""
    known = np.isfinite(view.depth_m) & (view.depth_m > 0) & (view.depth_m * FACTOR_DEPTH < UINT16_MAX)
    return np.rint(np.where(known, view.depth_m, 0) * FACTOR_DEPTH).astype(np.uint16)


def label_u8(label: np.ndarray, name: str) -> np.ndarray:
    """Return the label image as uint8[H, W].

    Raises:
        FrameError: an id above 255.
    """
    if label.max(initial=0) > 255:
        raise FrameError(f"{name}: expected ids up to 255 in an 8-bit label image, got {int(label.max())}; lower "
                         "selection.max_instances to 255")
    return label.astype(np.uint8)


def mask_png(mask: np.ndarray) -> bytes:
    """Encode bool[H, W] as a PNG of one bit a pixel, which PIL reads as bool: an 8-bit 0/255 mask would be taken for
    row numbers by a loader that indexes with it."""
    return encode_png(mask.astype(np.uint8) * 255, (cv2.IMWRITE_PNG_BILEVEL, 1))
