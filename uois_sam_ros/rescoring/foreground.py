"""How much of a mask the prompter calls foreground."""

from __future__ import annotations

import numpy as np

#: Every n-th row and column is looked at: the map itself has half the working resolution.
STEP = 2


def mean_foreground(low_res_masks: np.ndarray, foreground: np.ndarray,
                    resized_hw: tuple[int, int]) -> np.ndarray:
    """Return float32[N, H], the mean foreground probability over each mask; 0 for an empty mask.

    Args:
        low_res_masks: float32[N, H, h, w] logits, threshold 0.
        foreground: float32[h, w] on the same grid.
        resized_hw: the picture inside the padding; only there is counted.
    """
    height, width = resized_hw
    values = np.ascontiguousarray(foreground[:height:STEP, :width:STEP]).ravel()
    mean = np.zeros(low_res_masks.shape[:2], dtype=np.float32)
    for index in np.ndindex(*mean.shape):
        logits = low_res_masks[index]
        inside = (logits[:height:STEP, :width] > 0)[:, ::STEP].ravel()  # whole rows compare fastest
        size = np.count_nonzero(inside)
        if size:
            mean[index] = values.dot(inside.astype(np.float32)) / size
            continue
        inside = logits[:height, :width] > 0  # nothing at this step: a mask of a few pixels, or none
        if inside.any():
            mean[index] = foreground[:height, :width][inside].mean()
    return mean
