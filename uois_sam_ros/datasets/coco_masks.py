"""The annotations of one image as a label image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .polygons import polygons_to_mask
from .rle import decode_mask


@dataclass(frozen=True)
class Painted:
    """What the annotations of an image say.

    Attributes:
        label: uint16[H, W], 0 = background.
        ignore: bool[H, W] of crowds and of objects that have a box and no mask; ``None`` when there are none.
        without_mask: annotations without mask.
        hidden: objects of which nothing is left, because later ones lie over them.
    """

    label: np.ndarray
    ignore: np.ndarray | None
    without_mask: int
    hidden: int


def paint(annotations: Sequence[dict[str, Any]], shape: tuple[int, int], what: str,
          mask_key: str | None = None) -> Painted:
    """Paint annotations one over the other, later ones on top.

    Objects are numbered 1..N in their order, or by ``label_id`` when each has one of its own.

    Args:
        annotations: of one image, COCO.
        shape: (H, W) of the picture.
        what: how a refusal begins.
        mask_key: which mask to take; ``None`` takes ``visible_mask`` where there is one, else ``segmentation``.

    Raises:
        InputError: a mask of another size, a damaged one, or annotations without a single mask.
    """
    label = np.zeros(shape, dtype=np.uint16)
    crowds, boxes = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    objects, without_mask = [], 0
    for annotation in annotations:
        where = f"{what}, annotation {annotation.get('id')}"
        keys = (mask_key,) if mask_key else ("visible_mask", "segmentation")
        code = next((annotation[key] for key in keys if annotation.get(key)), None)
        if not code:
            without_mask += 1
            boxes |= _box(annotation.get("bbox"), shape)
            continue
        mask = read_mask(code, shape, where)
        if annotation.get("iscrowd"):
            crowds |= mask
        else:
            objects.append((annotation.get("label_id"), mask))
    if annotations and without_mask == len(annotations):
        kind = mask_key or "segmentation"
        raise InputError(f"{what}: expected masks ({kind}), got {without_mask} annotations without one; export the "
                         "annotations with masks, boxes are not enough")
    for number, (own, mask) in zip(_numbers([own for own, _ in objects]), objects):
        label[mask] = number
    hidden = len(objects) - int(np.count_nonzero(np.bincount(label.ravel())[1:]))
    ignore = crowds | (boxes & (label == 0))
    return Painted(label, ignore if ignore.any() else None, without_mask, hidden)


def read_mask(code: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    """Turn a COCO mask, run-length code or polygons, into bool[H, W].

    Raises:
        InputError: another size, or damaged.
    """
    if isinstance(code, dict):
        mask = decode_mask(code, what)
        if mask.shape != tuple(shape):
            raise InputError(f"{what}: expected a mask of {shape[1]}x{shape[0]} like the picture, got "
                             f"{mask.shape[1]}x{mask.shape[0]}; use pictures and annotations of one resolution")
        return mask
    if isinstance(code, list):
        return polygons_to_mask(code, shape, what)
    raise InputError(f"{what}: expected a mask as run-length code or polygons, got {type(code).__name__}; export the "
                     "annotations again")


def _numbers(own: list[Any]) -> list[int]:
    """The numbers that the annotations bring, when all do and they are usable; else 1..N."""
    usable = all(isinstance(number, int) and 0 < number <= 65535 for number in own)
    return own if usable and len(set(own)) == len(own) else list(range(1, len(own) + 1))


def _box(box: Any, shape: tuple[int, int]) -> np.ndarray:
    inside = np.zeros(shape, dtype=bool)
    if isinstance(box, (list, tuple)) and len(box) == 4 and all(isinstance(side, (int, float)) for side in box):
        x, y, w, h = box
        inside[max(0, int(y)):max(0, int(np.ceil(y + h))), max(0, int(x)):max(0, int(np.ceil(x + w)))] = True
    return inside
