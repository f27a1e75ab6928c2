"""HDNet: a small head that learns from the decoder's tokens what a whole object is."""

from __future__ import annotations

import numpy as np

from ..models.spec import SCORES
from ..runtime.base import Model
from ..types import MaskSet


def hdnet_scores(model: Model, mask_set: MaskSet) -> np.ndarray:
    """Return float32[N, H] refined scores.

    The model's inputs are named as the fields of ``MaskSet``.
    """
    inputs = {name: getattr(mask_set, name) for name in model.spec.input_names}
    return model.run(inputs)[SCORES.name]
