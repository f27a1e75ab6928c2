"""The compact RGB-D encoder with the heatmap prompt head (HPG) on its shared features.

One pass gives everything the other stages read: pixel features at half the working resolution for
masks, coarser ones for tokens, the foreground probability and the object-centre heatmap
(arXiv 2409.15481, section on the Heatmap-based Prompt Generator, on a backbone of our own).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from .layers import ConvBlock, GlobalContext, Residual, Stage

#: Input channels that hold camera-frame x, y, z (see encoding/transform.py).
XYZ = slice(3, 6)


class CompactEncoder(nn.Module):
    """Image -> pixel, middle and context features, foreground, heatmap.

    Args:
        in_channels: of the network input.
        widths: channels at strides 2, 4, 8, 16 and 32 of the working grid.
        depths: residual blocks at strides 4, 8, 16 and 32.
        pixel_width: channels of the stride-2 mask features, without coordinates.
        context_width: channels of the stride-16 features that tokens attend to.
    """

    def __init__(self, in_channels: int = 13, widths: tuple[int, ...] = (24, 48, 96, 160, 160),
                 depths: tuple[int, ...] = (2, 3, 3, 1), pixel_width: int = 32,
                 context_width: int = 128) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        self.stem = ConvBlock(in_channels * 4, w2)
        self.stage4 = Stage(w2, w4, depths[0])
        self.stage8 = Stage(w4, w8, depths[1])
        self.stage16 = Stage(w8, w16, depths[2])
        self.stage32 = Stage(w16, w32, depths[3])
        self.scene = GlobalContext(w32)
        self.top32 = ConvBlock(w32, context_width, kernel=1)
        self.lateral16 = ConvBlock(w16, context_width, kernel=1, activate=False)
        self.smooth16 = ConvBlock(context_width, context_width)
        self.down16 = ConvBlock(context_width, w8, kernel=1, activate=False)
        self.smooth8 = ConvBlock(w8, w8)
        self.down8 = ConvBlock(w8, w4, kernel=1, activate=False)
        self.smooth4 = Residual(w4)
        self.down4 = ConvBlock(w4, pixel_width, kernel=1, activate=False)
        self.lateral2 = ConvBlock(w2, pixel_width, kernel=1, activate=False)
        self.smooth2 = ConvBlock(pixel_width, pixel_width)
        self.prompt_coarse = nn.Sequential(ConvBlock(w4, 64), nn.Conv2d(64, 8, 1))
        self.prompt_fine = nn.Conv2d(pixel_width, 2, 1)
        nn.init.constant_(self.prompt_coarse[1].bias, 0.5 * math.log(0.02 / 0.98))
        self.pixel_channels = pixel_width + 3
        self.middle_channels, self.context_channels = w4, context_width

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encode float32[B, 13, h, w]; h and w multiples of 16.

        Returns:
            pixel [B, 35, h/2, w/2] (the last three are x, y, z), middle [B, 48, h/4, w/4],
            context [B, 128, h/16, w/16], foreground and heatmap [B, 1, h/2, w/2] in [0, 1].
        """
        pixel, middle, context, prompt_logits = self.features(image)
        foreground, heatmap = torch.sigmoid(prompt_logits).split(1, dim=1)
        return pixel, middle, context, foreground, heatmap

    def features(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As ``forward``, with the two prompt maps as logits [B, 2, h/2, w/2]."""
        x2 = self.stem(F.pixel_unshuffle(image, 2))
        x4 = self.stage4(x2)
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x32 = self.scene(self.stage32(x16))
        context = self.smooth16(F.relu(self.lateral16(x16) + _resize_like(self.top32(x32), x16)))
        y8 = self.smooth8(F.relu(x8 + _resize_like(self.down16(context), x8)))
        middle = self.smooth4(F.relu(x4 + _resize_like(self.down8(y8), x4)))
        pixel = self.smooth2(F.relu(self.lateral2(x2) + _resize_like(self.down4(middle), x2)))
        logits = F.pixel_shuffle(self.prompt_coarse(middle), 2) + self.prompt_fine(pixel)
        coordinates = F.avg_pool2d(image[:, XYZ], 2)
        return torch.cat([pixel, coordinates], dim=1), middle, context, logits


def _resize_like(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
