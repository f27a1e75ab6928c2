"""MaskSet -> MaskSet with refined scores. One strategy a file; ``make_rescorer`` combines them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..config import RescoringConfig
from ..errors import ConfigError
from ..runtime.base import Model
from ..types import Features, MaskSet, Prompts
from .depth import depth_consistency
from .foreground import mean_foreground
from .hdnet import hdnet_scores

Rescorer = Callable[[Features, Prompts, MaskSet], MaskSet]


def make_rescorer(config: RescoringConfig, model: Model | None) -> Rescorer:
    """Return the rescoring stage.

    Strategy "decoder" starts from the decoder's own IoU, "hdnet" from the refined score, mixed with
    the decoder's by ``hdnet_weight``; both are multiplied by (mean foreground inside the mask) ** ``foreground_weight`` where the prompts carry
    a foreground map, and by (share on one continuous surface) ** ``depth_weight`` where there is depth.

    Args:
        model: the rescorer network; "decoder" needs none.

    Raises:
        ConfigError: strategy "hdnet" without a model, or with one that is no rescorer.
    """
    if config.strategy == "hdnet" and model is None:
        raise ConfigError(
            "rescoring.strategy: expected a rescorer model for 'hdnet', got none; pass the model or "
            "set rescoring.strategy to 'decoder'")
    if config.strategy == "hdnet" and model.spec.kind != "rescorer":
        raise ConfigError(f"rescoring.rescorer: expected a rescorer such as compact_hdnet, got the "
                          f"{model.spec.kind} {model.spec.name}")

    def rescore(features: Features, prompts: Prompts, mask_set: MaskSet) -> MaskSet:
        if len(mask_set) == 0:
            return mask_set
        scores = mask_set.iou_predictions
        if config.strategy == "hdnet":
            scores = scores + np.float32(config.hdnet_weight) * (hdnet_scores(model, mask_set) - scores)
        if config.foreground_weight > 0 and prompts.foreground is not None:
            inside = mean_foreground(mask_set.low_res_masks, prompts.foreground, features.grid.resized_hw)
            scores = scores * inside ** np.float32(config.foreground_weight)
        if config.depth_weight > 0 and features.geometry is not None:
            share = depth_consistency(mask_set.low_res_masks, features.geometry, features.grid.resized_hw)
            scores = scores * share ** np.float32(config.depth_weight)
        return replace(mask_set, scores=np.clip(scores, 0, 1).astype(np.float32))

    return rescore
