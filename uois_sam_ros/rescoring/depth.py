"""How much of a mask lies on one depth-continuous surface: two things behind one another are not one object."""

from __future__ import annotations

import cv2
import numpy as np

from ..types import Geometry

#: A depth step of this share of the distance breaks a surface: 12 mm at one metre.
STEP = 0.012
#: A mask with fewer pixels on unbroken surface has no verdict.
MIN_PIXELS = 12


def depth_consistency(low_res_masks: np.ndarray, geometry: Geometry, resized_hw: tuple[int, int]) -> np.ndarray:
    """Return float32[N, H], the share of each mask that is on its largest continuous surface; 1 without a verdict.

    Args:
        low_res_masks: float32[N, H, h, w] logits, threshold 0.
        geometry: on the same grid.
        resized_hw: the picture inside the padding; only there is looked.
    """
    height, width = resized_hw
    whole = (geometry.valid & ~depth_steps(geometry.points_m[..., 2]))[:height, :width]
    share = np.ones(low_res_masks.shape[:2], dtype=np.float32)
    for index in np.ndindex(*share.shape):
        inside = low_res_masks[index][:height, :width] > 0
        x, y, w, h = cv2.boundingRect(inside.view(np.uint8))
        window = slice(y, y + h), slice(x, x + w)
        surface = inside[window] & whole[window]
        size = np.count_nonzero(surface)
        if size >= MIN_PIXELS:
            _, _, stats, _ = cv2.connectedComponentsWithStats(surface.view(np.uint8), connectivity=4)
            share[index] = stats[1:, cv2.CC_STAT_AREA].max() / size
    return share


def depth_steps(z: np.ndarray) -> np.ndarray:
    """Return bool[h, w]: the depth float32[h, w] jumps beside this pixel.

    On any plane, however slanted, 1/z is linear in the pixel, so its second difference tells a jump from a slope.
    """
    inverse = 1 / np.maximum(z, np.float32(1e-3))
    bend = np.zeros_like(z)
    bend[:, 1:-1] = np.abs(inverse[:, 2:] + inverse[:, :-2] - 2 * inverse[:, 1:-1])
    bend[1:-1] = np.maximum(bend[1:-1], np.abs(inverse[2:] + inverse[:-2] - 2 * inverse[1:-1]))
    return bend > STEP * inverse
