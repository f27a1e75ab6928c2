"""Run the mask decoder over the prompts, in batches of bounded size."""

from __future__ import annotations

import numpy as np

from ..config import DecodingConfig
from ..errors import ModelError
from ..models.spec import IOU, IOU_TOKEN, MASK_TOKENS, MASKS, POINTS
from ..runtime.base import Model
from ..types import Features, MaskSet, Prompts


class Decoder:
    """Features + Prompts -> MaskSet.

    The model's spec names its inputs: ``points`` are the prompts, every other name is a feature map. Its masks are
    those of the working grid; a decoder of masks of a fixed size (SAM) covers the grid from the top left, and what lies
    beyond the grid is padding.
    """

    def __init__(self, config: DecodingConfig, model: Model) -> None:
        self._batch = config.batch
        self._model = model
        (masks,) = (tensor for tensor in model.spec.outputs if tensor.name == MASKS.name)
        self._fixed_hw = masks.dims[-2:]  # names where the size follows the grid

    def __call__(self, features: Features, prompts: Prompts) -> MaskSet:
        """Decode every prompt; without prompts the model does not run.

        Raises:
            ModelError: a feature map that the decoder reads is missing, or its masks do not lie on
                the working grid.
        """
        if len(prompts) == 0:
            return empty_mask_set(features.grid.padded_hw)
        maps = self._feature_inputs(features)
        batches = np.array_split(prompts.points_px, -(-len(prompts) // self._batch))
        outputs = [self._model.run({**maps, POINTS.name: np.ascontiguousarray(points)})
                   for points in batches]
        masks = self._on_grid(_join(outputs, MASKS.name), tuple(features.grid.padded_hw))
        iou = _join(outputs, IOU.name)
        return MaskSet(
            low_res_masks=masks,
            iou_predictions=iou,
            mask_tokens=_join(outputs, MASK_TOKENS.name),
            iou_token=_join(outputs, IOU_TOKEN.name),
            points_px=prompts.points_px,
            scores=iou,
        )

    def _on_grid(self, masks: np.ndarray, padded_hw: tuple[int, int]) -> np.ndarray:
        """Return the part of the masks over the working grid, without a copy."""
        sides = masks.shape[-2:]
        square = sides == (max(padded_hw), max(padded_hw))
        covers = sides == self._fixed_hw and max(sides) == max(padded_hw) and sides[0] >= padded_hw[0]
        if sides != padded_hw and not square and not covers:
            raise ModelError(
                f"decoder '{self._model.spec.name}': expected masks of {padded_hw} "
                f"(the working grid), got {sides}; export the decoder again")
        return masks[..., :padded_hw[0], :padded_hw[1]]

    def _feature_inputs(self, features: Features) -> dict[str, np.ndarray]:
        names = [name for name in self._model.spec.input_names if name != POINTS.name]
        missing = [name for name in names if name not in features.maps]
        if missing:
            raise ModelError(
                f"decoder '{self._model.spec.name}': expected the feature maps {', '.join(names)}, "
                f"the encoders made no {', '.join(missing)}; list the encoder that makes them in "
                "encoding.encoders")
        return {name: features.maps[name] for name in names}


def empty_mask_set(padded_hw: tuple[int, int]) -> MaskSet:
    """Return the MaskSet of no prompts."""
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return MaskSet(zeros(0, 1, *padded_hw), zeros(0, 1), zeros(0, 1, 1), zeros(0, 1), zeros(0, 2),
                   zeros(0, 1))


def _join(outputs: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
    if len(outputs) == 1:  # the usual case: no copy of the masks
        return outputs[0][name]
    return np.concatenate([output[name] for output in outputs])
