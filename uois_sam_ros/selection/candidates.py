"""The masks that stand for election: one hypothesis a prompt, binarised, with box and area."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Box, Grid, MaskSet




@dataclass(frozen=True)
class Candidates:
    """K masks on the picture inside the working grid, best score first.

    Attributes:
        logits: K views float32[h, w] of the decoder's output.
        masks: K arrays bool[h, w], ``logits > 0``.
        boxes: K half-open xyxy boxes, working pixels.
        areas: int64[K] pixels.
        scores: float32[K].
    """

    logits: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    boxes: tuple[Box, ...]
    areas: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def crop(self, index: int) -> tuple[slice, slice]:
        """Return the rows and columns of a mask's box."""
        x0, y0, x1, y1 = self.boxes[index]
        return slice(y0, y1), slice(x0, x1)

    def subset(self, keep: list[int]) -> Candidates:
        """Return the candidates at these indices, in this order."""
        return Candidates(
            tuple(self.logits[i] for i in keep), tuple(self.masks[i] for i in keep),
            tuple(self.boxes[i] for i in keep), self.areas[keep], self.scores[keep])


def best_hypotheses(mask_set: MaskSet, grid: Grid, *, score_threshold: float) -> Candidates:
    """Take each prompt's best-scored hypothesis; drop empty masks and scores below the threshold."""
    height, width = grid.resized_hw
    chosen = mask_set.scores.argmax(axis=1) if len(mask_set) else np.zeros(0, int)
    scores = mask_set.scores[np.arange(len(chosen)), chosen]
    order = [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] >= score_threshold]
    logits = tuple(mask_set.low_res_masks[i, chosen[i], :height, :width] for i in order)
    masks = tuple(values > 0 for values in logits)
    boxes: list[Box] = []
    areas = np.zeros(len(order), dtype=np.int64)
    for k, mask in enumerate(masks):
        x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
        boxes.append((x, y, x + w, y + h))
        areas[k] = np.count_nonzero(mask[y:y + h, x:x + w])
    every = Candidates(logits, masks, tuple(boxes), areas, scores[order].astype(np.float32))
    if areas.all():
        return every
    return every.subset([int(i) for i in np.flatnonzero(areas)])
