"""Run the mask decoder over K places for prompts of B cameras; ``decoding/decode.py`` on the device."""

from __future__ import annotations

import torch
from torch import nn

from ..config import DecodingConfig
from ..errors import ModelError
from ..models.spec import MASKS, POINTS, ModelSpec
from .types import DeviceFeatures, DeviceMaskSet, DevicePrompts

#: Score of a place without a prompt: below every threshold.
NO_PROMPT = -1.0


class DeviceDecoder(nn.Module):
    """DeviceFeatures + DevicePrompts -> DeviceMaskSet.

    Args:
        config: ``batch`` bounds the prompts of a run, those of all cameras together.
        network: with ``batched``, which takes the feature maps and then points float32[B, P, 2]; the decoders of
            ``models/`` have it.
        spec: the network's; it names the maps that are read.
    """

    def __init__(self, config: DecodingConfig, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self._batch, self._spec = config.batch, spec
        (masks,) = (tensor for tensor in spec.outputs if tensor.name == MASKS.name)
        self._fixed_hw = masks.dims[-2:]  # names where the size follows the grid
        self._names = tuple(name for name in spec.input_names if name != POINTS.name)

    def forward(self, features: DeviceFeatures, prompts: DevicePrompts) -> DeviceMaskSet:
        """Decode every place, taken or not.

        Raises:
            ModelError: a feature map that the decoder reads is missing, or its masks do not lie on the working grid.
        """
        missing = [name for name in self._names if name not in features.maps]
        if missing:
            raise ModelError(
                f"decoder '{self._spec.name}': expected the feature maps {', '.join(self._names)}, the encoders made "
                f"no {', '.join(missing)}; list the encoder that makes them in encoding.encoders")
        maps = [features[name] for name in self._names]
        cameras, places = prompts.valid.shape
        runs = prompts.points_px.split(max(1, self._batch // cameras), dim=1)
        outputs = [self.network.batched(*maps, points) for points in runs]
        masks, iou, mask_tokens, iou_token = (torch.cat(parts, dim=1).float() for parts in zip(*outputs))
        scores = torch.where(prompts.valid[..., None], iou, NO_PROMPT)
        return DeviceMaskSet(self._on_grid(masks, features.grid.padded_hw), iou, mask_tokens, iou_token,
                             prompts.points_px, prompts.valid, scores)

    def _on_grid(self, masks: torch.Tensor, padded_hw: tuple[int, int]) -> torch.Tensor:
        """Return the part of the masks over the working grid; masks of a fixed size (SAM) cover it from top left."""
        sides, (height, width) = tuple(masks.shape[-2:]), padded_hw
        covers = sides == self._fixed_hw and max(sides) == max(padded_hw) and sides[0] >= height and sides[1] >= width
        if sides != (height, width) and not covers:
            raise ModelError(f"decoder '{self._spec.name}': expected masks of {(height, width)} (the working grid), "
                             f"got {sides}; use the encoder and decoder of one model")
        return masks[..., :height, :width]
