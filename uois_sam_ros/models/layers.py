"""Building blocks shared by the compact networks."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class ConvBlock(nn.Sequential):
    """3x3 (or 1x1) convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, kernel: int = 3,
                 activate: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        if activate:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Merge every ConvBlock's batch norm into its convolution, in place; for inference only."""
    for block in module.modules():
        if isinstance(block, ConvBlock) and isinstance(block[1], nn.BatchNorm2d):
            block[0] = nn.utils.fusion.fuse_conv_bn_eval(block[0].eval(), block[1].eval())
            block[1] = nn.Identity()
    return module


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = ConvBlock(channels, channels, activate=False)
        nn.init.zeros_(self.second[1].weight)  # starts as the identity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(self.first(x)))


class Stage(nn.Sequential):
    """Halve the resolution, then ``depth`` residual blocks."""

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__(
            ConvBlock(in_channels, out_channels, stride=2),
            *(Residual(out_channels) for _ in range(depth)),
        )


class GlobalContext(nn.Module):
    """Add a projection of the image-wide mean to every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1), nn.ReLU(inplace=True),
            nn.Conv2d(channels // 2, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.project(x.mean(dim=(2, 3), keepdim=True))


class MLP(nn.Module):
    """Linear layers with ReLU between them, as SAM's heads use them."""

    def __init__(self, in_width: int, hidden: int, out_width: int, depth: int = 3) -> None:
        super().__init__()
        widths = [in_width] + [hidden] * (depth - 1) + [out_width]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Attention(nn.Module):
    """Multi-head attention in plain matrix products, so that it exports to a plain graph."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attend; all of float32[B, n, width], keys and values of one length."""
        batch, length, width = query.shape
        split = (self.heads, width // self.heads)
        q = self.query(query).reshape(batch, length, *split).transpose(1, 2)
        k = self.key(key).reshape(batch, -1, *split).permute(0, 2, 3, 1)
        v = self.value(value).reshape(batch, -1, *split).transpose(1, 2)
        weights = torch.softmax(q @ k * split[1] ** -0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))
