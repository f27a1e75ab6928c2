"""Write the result of one frame: label image, instances as JSON, and a picture on request."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..overlay import draw_overlay
from ..types import Frame, Instance, Instances


def write_result(folder: Path, source: str, name: str, frame: Frame, instances: Instances, *,
                 preset: str, overlay: bool = False) -> None:
    """Write ``folder/<source>/<name>_label.png``, ``.json`` and, on request, ``_overlay.png``.

    The label is uint16 at native resolution: 0 = background, ids 1..N. Files appear whole or
    not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    target = folder / source
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(target / f"{name}_label.png", encode_png(instances.label))
        if overlay:
            picture = draw_overlay(frame.color, instances)
            _write(target / f"{name}_overlay.png", encode_png(picture[:, :, ::-1]))
        described = json.dumps(describe(source, name, frame, instances, preset), indent=1)
        _write(target / f"{name}.json", described.encode())
    except OSError as error:
        raise InputError(f"output folder {target}: expected a writable folder, got: {error}") from error


def describe(source: str, name: str, frame: Frame, instances: Instances, preset: str) -> dict[str, Any]:
    """Return the frame's result as plain data."""
    return {
        "source": source,
        "name": name,
        "stamp_ns": frame.stamp_ns,
        "width": frame.width,
        "height": frame.height,
        "preset": preset,
        "depth_used": bool(instances.depth_used),
        "timings_ms": {stage: round(float(ms), 3) for stage, ms in instances.timings_ms.items()},
        "instances": [_describe_instance(item) for item in instances.items],
    }


def encode_png(image: np.ndarray, settings: tuple[int, ...] = (cv2.IMWRITE_PNG_COMPRESSION, 2)) -> bytes:
    """Encode uint8 or uint16 pixels (BGR when coloured) as PNG; by default quickly."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(image), list(settings))
    if not done:
        raise OSError(f"PNG encoder refused {image.dtype}{list(image.shape)}")
    return data.tobytes()


def _describe_instance(item: Instance) -> dict[str, Any]:
    plain = asdict(item)
    plain["score"] = round(float(item.score), 4)
    plain["box_xyxy"] = [int(value) for value in item.box_xyxy]
    plain["centroid_px"] = [round(float(value), 2) for value in item.centroid_px]
    if item.centroid_m is not None:
        plain["centroid_m"] = [round(float(value), 5) for value in item.centroid_m]
    plain["valid_depth_ratio"] = round(float(item.valid_depth_ratio), 4)
    plain["touches_border"] = bool(item.touches_border)
    return plain


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
