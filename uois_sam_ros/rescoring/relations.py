"""How each candidate mask lies among the others of its frame; ``models/relations.py`` in numpy, which says more."""

from __future__ import annotations

import numpy as np

#: As there; a test compares both.
STEP, SMALLER, SAME = 4, 1.25, 0.5


def candidate_relations(low_res_masks: np.ndarray, iou_predictions: np.ndarray) -> np.ndarray:
    """Return float32[N, H, R] for float32[N, H, h, w] logits (threshold 0) and float32[N, H] predicted IoU."""
    prompts, hypotheses = iou_predictions.shape
    cells = (low_res_masks[..., STEP // 2::STEP, STEP // 2::STEP] > 0).reshape(prompts * hypotheses, -1)
    cells = cells.astype(np.float32)
    shared = cells @ cells.T
    area = shared.diagonal()
    iou = shared / np.maximum(area[:, None] + area - shared, 1)
    inside = shared / np.maximum(area[:, None], 1)
    holds = inside.T
    prompt = np.repeat(np.arange(prompts), hypotheses)
    own = prompt[:, None] == prompt
    score = iou_predictions.ravel()
    weight = np.where(own, np.float32(0), score)
    strong = weight * (score * score * score)
    sibling = own & ~np.eye(len(own), dtype=bool)
    smaller = np.where(holds > SMALLER * inside, holds, np.float32(0))
    larger = np.where(inside > SMALLER * holds, inside, np.float32(0))
    apart = (1 - iou) * weight
    found = np.stack([
        (iou * weight).max(1), np.log1p((iou * strong).sum(1)),
        (smaller * weight).max(1), np.log1p((smaller * strong).sum(1)),
        (larger * weight).max(1), np.log1p((larger * strong).sum(1)),
        ((iou > SAME) * weight).max(1) - score,
        (holds * apart).max(1), (inside * apart).max(1),
        (iou * sibling).max(1), (holds * sibling).max(1), (inside * sibling).max(1),
        score - (score * sibling).max(1)], axis=-1)
    return found.reshape(prompts, hypotheses, -1).astype(np.float32)
