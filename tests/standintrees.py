"""Tabletop scenes in the exact layouts of the public data sets: small, and something to segment in every frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from datasettrees import coco_json, save
from tabletop import tabletop

from uois_sam_ros.datasets.rle import encode_mask

SIZE = {"height": 120, "width": 160}


def scene(seed: int):
    """Return colour, depth in millimetres, and labels 0, 1, 2, 3 of one scene."""
    frame, label, _ = tabletop(noise_m=0.0005, seed=seed, camera_m=(0.02 * (seed % 3) - 0.02, -0.5, 0.6), **SIZE)
    return frame.color, np.round(1000 * frame.depth_m).astype(np.uint16), label.astype(np.uint8)


def write_triple(folder: Path, names: tuple[str, str, str], stem: str, seed: int, background: int = 0) -> None:
    """Write colour, depth and label of one scene; labels up to ``background`` are no objects."""
    color, depth, label = scene(seed)
    for name, image in zip(names, (color, depth, np.where(label > 0, label + background, background).astype(np.uint8))):
        save(folder / name / f"{stem}.png", image)


def write_ocid(root: Path, frames: int = 2) -> Path:
    """A floor and a table sequence."""
    for surface, background in (("floor", 1), ("table", 2)):
        for k in range(frames):
            write_triple(root / f"ARID20/{surface}/top/seq01", ("rgb", "depth", "label"), f"r{k}", k, background)
    return root


def write_osd(root: Path, frames: int = 2) -> Path:
    """Frames of both parts."""
    for k in range(frames):
        write_triple(root, ("image_color", "disparity", "annotation"), f"{'test' if k % 2 else 'learn'}{k}", k)
    return root


def write_uoais_sim(root: Path, frames: int = 12) -> Path:
    """Frames of the training split."""
    images, found = [], []
    for k in range(frames):
        color, depth, label = scene(k)
        names = [f"tabletop/{kind}/{k:06d}.png" for kind in ("color", "depth")]
        for name, image in zip(names, (color, depth)):
            save(root / "train" / name, image)
        images.append({"id": k, "file_name": names[0], "depth_file_name": names[1], **SIZE})
        for value in np.unique(label[label > 0]).tolist():
            mask = encode_mask(label == value)
            found.append({"id": len(found) + 1, "image_id": k, "category_id": 1, "iscrowd": 0, "segmentation": mask,
                          "visible_mask": mask})
    coco_json(root / "annotations/coco_anns_uoais_sim_train.json", images, found)
    return root


def write_phocal(root: Path) -> Path:
    """Two sequences of one frame."""
    for k in range(2):
        write_triple(root / f"sequence_{k + 1}", ("rgb", "depth", "mask"), "000000", k)
        camera = {"fx": 144.0, "fy": 144.0, "cx": 79.5, "cy": 59.5, "depth_scale": 1000.0}
        (root / f"sequence_{k + 1}/scene_camera.json").write_text(json.dumps({"rgb": camera}))
    return root


def write_housecat6d(root: Path) -> Path:
    """Two scenes of one frame."""
    for k, folder in enumerate(("scene01", "test_scene1")):
        write_triple(root / folder, ("rgb", "depth", "instance"), "000000", k)
        (root / folder / "intrinsics.txt").write_text("144 0 79.5\n0 144 59.5\n0 0 1\n")
    return root
