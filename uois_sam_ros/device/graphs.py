"""Rescoring and election as modules of plain tensors, which is what an ONNX file takes and gives.

``FrameInputs``, ``HpgPoints`` and ``DevicePainter`` are that already; see ``export.py``.
"""

from __future__ import annotations

import torch
from torch import nn

from ..config import RescoringConfig, SelectionConfig
from ..errors import ConfigError
from ..models.spec import ModelSpec
from ..types import Grid
from .rescore import DeviceRescorer
from .select import DeviceElector
from .types import DeviceFeatures, DeviceGeometry, DeviceMaskSet, DevicePrompts


class RescoringGraph(nn.Module):
    """``DeviceRescorer``; its argument and result are those of ``DeviceMaskSet`` and the prompter's foreground.

    Raises:
        ConfigError: the depth term is on, whose sums over connected pieces TensorRT does not have.
    """

    input_names = ("masks", "iou_predictions", "mask_tokens", "iou_token", "points_px", "valid", "foreground")
    output_names = ("scores",)

    def __init__(self, config: RescoringConfig, grid: Grid, network: nn.Module | None = None,
                 spec: ModelSpec | None = None) -> None:
        super().__init__()
        if config.depth_weight > 0:
            raise ConfigError(f"rescoring.depth_weight: expected 0 for an exported stage, got {config.depth_weight:g}; "
                              "run rescoring in torch, or leave the depth term out")
        self._grid = grid
        self.rescore = DeviceRescorer(config, network, spec)

    def forward(self, masks: torch.Tensor, iou_predictions: torch.Tensor, mask_tokens: torch.Tensor,
                iou_token: torch.Tensor, points_px: torch.Tensor, valid: torch.Tensor,
                foreground: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return float32[B, K, H]; -1 where not valid."""
        mask_set = DeviceMaskSet(masks, iou_predictions, mask_tokens, iou_token, points_px, valid, iou_predictions)
        prompts = DevicePrompts(points_px, iou_predictions[..., 0], valid, foreground)
        return (self.rescore(DeviceFeatures(self._grid, {}), prompts, mask_set)[0].scores,)


class ElectionGraph(nn.Module):
    """``DeviceElector`` with depth, up to the masks to paint.

    Args:
        count: of masks that are given on to ``DevicePainter``.
    """

    input_names = ("masks", "scores", "valid", "points_m", "reading", "normals", "height_m", "plane", "plane_found",
                   "usable")
    output_names = ("logits", "boxes", "areas", "mask_scores", "chosen", "rank", "settled")

    def __init__(self, config: SelectionConfig, grid: Grid, count: int) -> None:
        super().__init__()
        self._grid, self._count = grid, count
        self.elect = DeviceElector(config, grid)

    def forward(self, masks: torch.Tensor, scores: torch.Tensor, valid: torch.Tensor, points_m: torch.Tensor,
                reading: torch.Tensor, normals: torch.Tensor, height_m: torch.Tensor, plane: torch.Tensor,
                plane_found: torch.Tensor, usable: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return ``ballots`` of the first ``count`` places, ``rank``, and whether the rounds were enough."""
        geometry = DeviceGeometry(points_m, reading, normals, height_m, plane, plane_found, usable)
        mask_set = DeviceMaskSet(masks, scores, scores, scores, scores, valid, scores)  # it reads masks and scores
        election, settled = self.elect(DeviceFeatures(self._grid, {}, geometry), mask_set)
        return (*election.ballots(self._count), election.rank, settled)
