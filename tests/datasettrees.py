"""Tiny trees in the exact layout of the public data sets, written by the tests that read them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64


def color(seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A picture of its own for every seed, RGB."""
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3)).astype(np.uint8)


def ids(*values: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A label image of 0 with one 8x8 square for every value, from left to right."""
    label = np.zeros(shape, np.uint8)
    for place, value in enumerate(values):
        label[8:16, 8 * place:8 * place + 8] = value
    return label


def save(path: Path, image: np.ndarray) -> Path:
    """Write a picture (RGB when coloured), with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def save_indexed(path: Path, label: np.ndarray) -> Path:
    """Write a label as an indexed PNG with a colourful palette, as annotation tools do."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label.astype(np.uint8)).convert("L")
    image.putpalette(np.random.default_rng(9).integers(0, 256, 768).tolist())
    image.save(path)
    return path


def save_triple(folder: Path, names: tuple[str, str, str], stem: str, label: np.ndarray, *, seed: int = 0,
                depth_m: float = 0.8, scale: float = 0.001, indexed: bool = False) -> None:
    """Write colour, depth and label folders of one frame."""
    save(folder / names[0] / f"{stem}.png", color(seed, label.shape))
    save(folder / names[1] / f"{stem}.png", np.full(label.shape, round(depth_m / scale), np.uint16))
    (save_indexed if indexed else save)(folder / names[2] / f"{stem}.png", label)


def coco_json(path: Path, images: list[dict], annotations: list[dict], **more) -> Path:
    """Write a COCO annotation file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"info": {"year": 2021}, "categories": [{"id": 1, "name": "object"}],
                                "images": images, "annotations": annotations, **more}))
    return path


def errors(samples) -> dict[str, str]:
    """Names of refused samples and why."""
    return {f"{sample.source}/{sample.name}": sample.error for sample in samples if sample.error}
