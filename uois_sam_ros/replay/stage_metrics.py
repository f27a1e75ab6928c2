"""Scores of the stages in between: where prompts fall, and which hypothesis gets chosen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Grid, MaskSet, Prompts


@dataclass(frozen=True)
class PromptScores:
    """Prompts of one frame against the truth, or the mean over frames.

    Attributes:
        precision: share of prompts on a true object; 1 without prompts.
        recall: share of true objects with at least one prompt; 1 without objects.
        count: prompts that were counted.
    """

    precision: float
    recall: float
    count: float


@dataclass(frozen=True)
class SelectionScores:
    """Mean IoU, over the prompts on objects, of the hypothesis that each score ranks first.

    Attributes:
        refined: chosen by the score after rescoring.
        decoder: chosen by the decoder's own IoU prediction.
        oracle: the best hypothesis.
        prompts: number of prompts on objects.
    """

    refined: float
    decoder: float
    oracle: float
    prompts: int


def score_prompts(prompts: Prompts, grid: Grid, truth: np.ndarray, ignore: np.ndarray | None = None) -> PromptScores:
    """Score prompt points; those on ignored pixels are left out, as are objects all of whose pixels are.

    Args:
        truth: uint16[H, W] at native resolution, 0 = background.
        ignore: bool[H, W] or ``None``.
    """
    points = np.rint(grid.to_native(prompts.points_px)).astype(int)
    if ignore is not None:
        points = points[~ignore[points[:, 1], points[:, 0]]]
        truth = np.where(ignore, 0, truth)
    hit = truth[points[:, 1], points[:, 0]]
    objects = np.unique(truth)
    objects = objects[objects > 0]
    precision = float((hit > 0).mean()) if len(hit) else 1.0
    recall = float(np.isin(objects, hit).mean()) if len(objects) else 1.0
    return PromptScores(precision, recall, float(len(hit)))


def score_selection(mask_set: MaskSet, grid: Grid, truth: np.ndarray,
                    ignore: np.ndarray | None = None) -> SelectionScores | None:
    """Compare the chosen hypothesis with the best one, on the working grid.

    Returns:
        Scores, or ``None`` when no prompt lies on an object.
    """
    height, width = grid.resized_hw
    truth, ignore = grid.cut(truth), None if ignore is None else grid.cut(ignore)
    kept = np.where(ignore, 0, truth) if ignore is not None else truth
    small = cv2.resize(kept.astype(np.uint16), (width, height), interpolation=cv2.INTER_NEAREST)
    counted = np.ones((height, width), bool)
    if ignore is not None:
        counted = cv2.resize(ignore.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) == 0
    points = np.rint(mask_set.points_px).astype(int)
    points = np.clip(points, 0, [width - 1, height - 1]) if len(points) else points.reshape(0, 2)
    ids = small[points[:, 1], points[:, 0]]
    chosen = np.flatnonzero(ids > 0)
    if len(chosen) == 0:
        return None
    picked = []
    for index in chosen:
        masks = (mask_set.low_res_masks[index, :, :height, :width] > 0) & counted
        true = small == ids[index]
        shared = (masks & true).sum(axis=(1, 2))
        iou = shared / np.maximum((masks | true).sum(axis=(1, 2)), 1)
        picked.append((iou[mask_set.scores[index].argmax()], iou[mask_set.iou_predictions[index].argmax()], iou.max()))
    refined, decoder, oracle = np.mean(picked, axis=0)
    return SelectionScores(float(refined), float(decoder), float(oracle), len(chosen))
