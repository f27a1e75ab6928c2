"""DeviceMaskSet -> DeviceMaskSet with refined scores; ``rescoring/`` on the device."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from ..config import RescoringConfig
from ..models.spec import ModelSpec
from ..rescoring.depth import MIN_PIXELS
from ..rescoring.depth import STEP as DEPTH_STEP
from ..rescoring.foreground import STEP as FOREGROUND_STEP
from .components import ROUNDS, components, piece_sizes
from .decode import NO_PROMPT
from .types import DeviceFeatures, DeviceGeometry, DeviceMaskSet, DevicePrompts


class DeviceRescorer(nn.Module):
    """Mix of HDNet and the decoder's own score, times the powers of foreground and depth, as ``make_rescorer``.

    Args:
        network: HDNet, and its spec; ``None`` for strategy "decoder".
    """

    def __init__(self, config: RescoringConfig, network: nn.Module | None = None,
                 spec: ModelSpec | None = None) -> None:
        super().__init__()
        self.config, self.network = config, network
        self._names = spec.input_names if spec is not None else ()

    def forward(self, features: DeviceFeatures, prompts: DevicePrompts, mask_set: DeviceMaskSet,
                rounds: int = ROUNDS) -> tuple[DeviceMaskSet, torch.Tensor]:
        """Return the scored masks, and bool[]: ``rounds`` of ``components`` were enough."""
        config, scores = self.config, mask_set.iou_predictions
        settled = torch.ones((), dtype=torch.bool, device=scores.device)
        if self.network is not None:
            scores = scores + config.hdnet_weight * (self._hdnet(mask_set) - scores)
        height, width = features.grid.resized_hw
        logits = mask_set.low_res_masks[..., :height, :width]
        if config.foreground_weight > 0 and prompts.foreground is not None:
            inside = mean_foreground(logits > 0, prompts.foreground[..., :height, :width])
            scores = scores * inside ** config.foreground_weight
        if config.depth_weight > 0 and features.geometry is not None:
            share, settled = depth_consistency(logits > 0, features.geometry, rounds)
            scores = scores * share ** config.depth_weight
        scores = torch.where(mask_set.valid[..., None], scores.clamp(0, 1), NO_PROMPT)
        return replace(mask_set, scores=scores), settled

    def _hdnet(self, mask_set: DeviceMaskSet) -> torch.Tensor:
        inputs = [getattr(mask_set, name) for name in self._names]
        return self.network(*(values.flatten(0, 1) for values in inputs)).float().unflatten(0, inputs[0].shape[:2])


def mean_foreground(masks: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Return float32[B, K, H], the mean foreground probability over each mask; 0 for an empty mask.

    Args:
        masks: bool[B, K, H, h, w]; foreground: float32[B, h, w]; the picture without padding.
    """
    coarse, coarse_size = _mean_inside(masks[..., ::FOREGROUND_STEP, ::FOREGROUND_STEP],
                                       foreground[..., ::FOREGROUND_STEP, ::FOREGROUND_STEP])
    fine, _ = _mean_inside(masks, foreground)
    return torch.where(coarse_size > 0, coarse, fine)


def _mean_inside(masks: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means float32[B, K, H] of float32[B, h, w] over bool[B, K, H, h, w], 0 for none; and how many pixels."""
    inside = masks.flatten(1, 2).flatten(2).float()
    total = (inside @ values.flatten(1)[..., None]).squeeze(-1)
    size = inside.sum(-1)
    return tuple(result.unflatten(1, masks.shape[1:3]) for result in (total / size.clamp(min=1), size))


def depth_consistency(masks: torch.Tensor, geometry: DeviceGeometry,
                      rounds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32[B, K, H], the share of each mask on its largest continuous surface, 1 without a verdict.

    Args:
        masks: bool[B, K, H, h, w], the picture without padding.

    Returns:
        Also bool[]: ``rounds`` of ``components`` were enough.
    """
    height, width = masks.shape[-2:]
    whole = (geometry.valid & ~depth_steps(geometry.points_m[..., 2]))[:, :height, :width]
    surface = (masks & whole[:, None, None]).flatten(0, 2)
    labels, settled = components(surface, diagonal=False, rounds=rounds)
    size = surface.flatten(1).sum(-1)
    share = piece_sizes(labels, surface).amax(-1) / size.clamp(min=1)
    share = share.masked_fill(size < MIN_PIXELS, 1).unflatten(0, masks.shape[:3])
    return torch.where(geometry.usable[:, None, None], share, 1.0), settled


def depth_steps(z: torch.Tensor) -> torch.Tensor:
    """Return bool[B, h, w]: the depth float32[B, h, w] jumps beside this pixel; see ``rescoring/depth.py``."""
    inverse = 1 / z.clamp(min=1e-3)
    across = (inverse[:, :, 2:] + inverse[:, :, :-2] - 2 * inverse[:, :, 1:-1]).abs()
    down = (inverse[:, 2:] + inverse[:, :-2] - 2 * inverse[:, 1:-1]).abs()
    bend = nn.functional.pad(across, (1, 1)).maximum(nn.functional.pad(down, (0, 0, 1, 1)))
    return bend > DEPTH_STEP * inverse
