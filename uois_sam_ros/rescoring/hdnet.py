"""HDNet: a small head that learned from tokens, and from how masks lie among one another, what a whole object is."""

from __future__ import annotations

import numpy as np

from ..models.spec import RELATIONS, SCORES
from ..runtime.base import Model
from ..types import MaskSet
from .relations import candidate_relations


def hdnet_scores(model: Model, mask_set: MaskSet) -> np.ndarray:
    """Return float32[N, H] refined scores.

    The model's inputs are named as the fields of ``MaskSet``, or relations, which are made of these.
    """
    inputs = {name: getattr(mask_set, name) for name in model.spec.input_names if name != RELATIONS.name}
    if RELATIONS.name in model.spec.input_names:
        inputs[RELATIONS.name] = candidate_relations(mask_set.low_res_masks, mask_set.iou_predictions)
    return model.run(inputs)[SCORES.name]
