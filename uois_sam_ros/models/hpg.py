"""The Heatmap-based Prompt Generator on frozen backbone features: foreground and object-centre heatmap.

arXiv 2409.15481 describes blocks of interpolation, 3x3 convolution, batch norm and PReLU, and leaves their number and
widths open; ours are fields with their reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

#: A heatmap logit at the start: sigmoid gives 0.0025, below the paper's threshold of 0.007, as almost all targets are.
EMPTY_LOGIT = -6.0


@dataclass(frozen=True)
class HpgSettings:
    """Shape of the upsampler.

    Attributes:
        in_channels, in_hw: of the backbone's features.
        out_hw: of both maps.
        width: channels after the first projection; the paper's C = 256.
        widths: channels after each block, as many as used: halved while the area grows fourfold, so that no block
            costs more than the one before.
    """

    in_channels: int
    in_hw: tuple[int, int]
    out_hw: tuple[int, int]
    width: int = 256
    widths: tuple[int, ...] = (128, 64, 32, 32)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(h, w) after each block: doublings of the features, then the size of the maps."""
        doublings = int(math.log2(self.out_hw[0] / self.in_hw[0]))
        sizes = [(self.in_hw[0] << k, self.in_hw[1] << k) for k in range(1, doublings + 1)]
        return tuple(sizes if sizes and sizes[-1] == self.out_hw else [*sizes, self.out_hw])


class UpBlock(nn.Module):
    """Bilinear interpolation to a size, 3x3 convolution, batch norm, PReLU."""

    def __init__(self, in_channels: int, out_channels: int, hw: tuple[int, int]) -> None:
        super().__init__()
        self.hw = hw
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm, self.activate = nn.BatchNorm2d(out_channels), nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, size=self.hw, mode="bilinear", align_corners=False)
        return self.activate(self.norm(self.conv(x)))


class HPG(nn.Module):
    """Backbone features -> foreground probability and heatmap."""

    def __init__(self, settings: HpgSettings) -> None:
        super().__init__()
        sizes = settings.sizes
        widths = (settings.width, *(settings.widths[min(k, len(settings.widths) - 1)] for k in range(len(sizes))))
        self.settings = settings
        self.project = nn.Conv2d(settings.in_channels, settings.width, 1)
        self.blocks = nn.ModuleList(UpBlock(a, b, hw) for a, b, hw in zip(widths[:-1], widths[1:], sizes))
        self.out = nn.Conv2d(widths[-1], 3, 1)
        with torch.no_grad():
            self.out.bias[2] = EMPTY_LOGIT

    def logits(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the losses read.

        Args:
            features: float32[B, in_channels, *in_hw].

        Returns:
            class logits [B, 2, h, w] (background, foreground) and heatmap logits [B, 1, h, w].
        """
        x = self.project(features)
        for block in self.blocks:
            x = block(x)
        return self.out(x).split((2, 1), dim=1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return foreground probability and heatmap, float32[B, 1, h, w] in [0, 1]."""
        classes, heat = self.logits(features)
        return torch.softmax(classes, dim=1)[:, 1:], torch.sigmoid(heat)
