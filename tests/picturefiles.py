"""Folders of pictures, written by the tests that read them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from tabletop import tabletop


def write_source(folder: Path, names=("a", "b"), *, manifest=True, scale=0.001, label=True, **facts) -> Path:
    """Write one source of tabletop frames; ``facts`` extend its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        frame, truth, _ = tabletop(noise_m=0.0005, seed=seed)
        cv2.imwrite(str(folder / f"{name}_color.png"), frame.color[:, :, ::-1])
        cv2.imwrite(str(folder / f"{name}_depth.png"), np.round(frame.depth_m / scale).astype(np.uint16))
        if label:
            cv2.imwrite(str(folder / f"{name}_label.png"), truth.astype(np.uint8))
    if manifest:
        k = frame.intrinsics
        values = {"depth_scale": scale, "intrinsics": {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy},
                  "images": [{"name": name, "resolution": [frame.width, frame.height]} for name in names], **facts}
        (folder / "manifest.json").write_text(json.dumps(values))
    return folder
