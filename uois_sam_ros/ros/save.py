"""Write one result to disk in the folder layout that ``uois-sam segment`` and ``eval`` read back.

``<name>_color.png``, ``_depth.png`` (uint16, with depth), ``_label.png`` (what was published) and
``<name>.json``; ``manifest.json`` of the folder gets the intrinsics and the depth scale. ``eval``
takes the label for the truth: corrected by hand, it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..replay.results import describe, encode_png
from ..types import Frame
from .result import Result

#: Metres per unit: whole millimetres stay what they are; finer depth keeps a tenth where that fits into 16 bits.
MILLIMETRE, TENTH = 0.001, 0.0001
_MOST = 65535


def save_result(folder: Path, result: Result) -> Path:
    """Write a result, all of its files or none; the same stamp replaces what was saved before.

    Returns:
        Path of the colour picture.

    Raises:
        InputError: the folder cannot be written, the disk is full, or its manifest is not one.
    """
    frame, name = result.frame, result.frame.name.replace("/", "_")
    facts: dict[str, Any] = {"name": name, "stamp_ns": frame.stamp_ns, "resolution": [frame.width, frame.height]}
    if frame.intrinsics is not None:
        k = frame.intrinsics
        facts["intrinsics"] = {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = {f"{name}_color.png": encode_png(frame.color[:, :, ::-1]),
                 f"{name}_label.png": encode_png(result.label),
                 f"{name}.json": _encode_json(_describe(folder, name, result))}
        if frame.depth_m is not None:
            stored, facts["depth_scale"] = quantise(frame)
            files[f"{name}_depth.png"] = encode_png(stored)
        files["manifest.json"] = _encode_json(_add_to_manifest(folder / "manifest.json", facts))
        _write_all(folder, files)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder with space that can be written, got: {error.strerror or error}; "
                         "free some space, or set save_dir to another folder") from error
    return folder / f"{name}_color.png"


def quantise(frame: Frame) -> tuple[np.ndarray, float]:
    """Return the depth of a frame as uint16[H, W], 0 = no reading, and metres per unit."""
    depth = np.where(np.isfinite(frame.depth_m) & (frame.depth_m > 0), frame.depth_m, 0).astype(np.float64)
    whole = np.abs(depth / MILLIMETRE - np.round(depth / MILLIMETRE)).max() < 0.01
    scale = MILLIMETRE if whole or depth.max() > _MOST * TENTH else TENTH
    units = np.round(depth / scale)
    return np.where(units <= _MOST, units, 0).astype(np.uint16), scale


def _describe(folder: Path, name: str, result: Result) -> dict[str, Any]:
    described = describe(folder.name, name, result.frame, result.published(), preset="")
    del described["preset"]
    described["frame_id"] = str(getattr(result.header, "frame_id", ""))
    if result.plane is not None:
        described["plane"] = {"normal": [round(float(value), 6) for value in result.plane.normal],
                              "offset_m": round(float(result.plane.offset), 6)}
    return described


def _add_to_manifest(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text()) if path.exists() else {}
        others = [image for image in manifest.get("images", []) if image["name"] != facts["name"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected a manifest with a list of images, got: {error!r}; move it away or set "
                         "save_dir to another folder") from error
    return {**manifest, "images": [*others, facts]}


def _encode_json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()


def _write_all(folder: Path, files: dict[str, bytes]) -> None:
    """Write every file under another name, then rename them; what fills the disk fails before the first is visible."""
    parts = {folder / name: folder / f".{name}.part" for name in files}
    try:
        for part, data in zip(parts.values(), files.values()):
            part.write_bytes(data)
        for target, part in parts.items():
            part.replace(target)
    except OSError:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
