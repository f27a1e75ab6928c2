"""DINOv2's vision transformer with the official parameter names, reduced to what a dense head needs.

Official checkpoints load as they are. The position embedding is interpolated as the official code does it for
backward compatibility: bicubic with scale factors that carry an offset of 0.1, without antialiasing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import ModelError
from .checkpoint_file import DINOV2_NAMES, check_state, read_checkpoint
from .spec import DINOV2_PATCHES, DINOV2_WIDTHS

PATCH = 14
#: Patches (rows, columns) that official checkpoints hold a position for: 518 pixels.
OFFICIAL_GRID = (37, 37)
OFFSET = 0.1


@dataclass(frozen=True)
class Dinov2Shape:
    """Channels, blocks and heads."""

    width: int
    depth: int
    heads: int


SHAPES = {"vits14": Dinov2Shape(DINOV2_WIDTHS["vits14"], 12, 6), "tiny": Dinov2Shape(DINOV2_WIDTHS["tiny"], 4, 3)}


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = _Attention(width, heads), _Mlp(width)
        self.ls1, self.ls2 = _Scale(width), _Scale(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class Dinov2(nn.Module):
    """Image -> normalised patch features.

    Args:
        grid: patches (rows, columns) that ``pos_embed`` holds positions for.
    """

    def __init__(self, shape: Dinov2Shape, grid: tuple[int, int] = OFFICIAL_GRID) -> None:
        super().__init__()
        width, self.grid = shape.width, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # in every checkpoint, unused without masking
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid[0] * grid[1], width))
        self.patch_embed = _PatchEmbed(width)
        self.blocks = nn.ModuleList(_Block(width, shape.heads) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return float32[B, width, h/14, w/14] of float32[B, 3, h, w]; h and w multiples of 14."""
        patches = image.shape[-2] // PATCH, image.shape[-1] // PATCH
        tokens = self.patch_embed(image)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.positions(patches)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, patches)

    def positions(self, patches: tuple[int, int]) -> torch.Tensor:
        """Return the position embedding [1, 1 + rows * columns, width] of a grid of patches."""
        if patches == self.grid:
            return self.pos_embed
        scale = [(new + OFFSET) / old for new, old in zip(patches, self.grid)]
        table = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, self.grid)
        table = F.interpolate(table, scale_factor=scale, mode="bicubic", antialias=False)
        return torch.cat([self.pos_embed[:, :1], table.flatten(2).transpose(1, 2)], dim=1)


def build_dinov2(variant: str, grid: tuple[int, int] = OFFICIAL_GRID) -> Dinov2:
    """Return a backbone with fresh weights.

    Raises:
        ModelError: unknown variant.
    """
    if variant not in SHAPES:
        raise ModelError(f"DINOv2: expected one of {', '.join(SHAPES)}, got '{variant}'")
    return Dinov2(SHAPES[variant], grid).eval()


def load_dinov2(path: str | Path, variant: str) -> Dinov2:
    """Return ``build_dinov2(variant)`` with the weights of an official-format checkpoint.

    Raises:
        ModelError: unreadable file, another variant or network, missing or unexpected tensors.
    """
    with torch.device("meta"):
        model = build_dinov2(variant)
    state = read_checkpoint(path)
    check_state(path, state, model.state_dict(), DINOV2_NAMES[SHAPES[variant].width, SHAPES[variant].depth])
    model.load_state_dict(state, assign=True)
    return model.eval()


def at_grid(model: Dinov2, patches: tuple[int, int] = DINOV2_PATCHES) -> Dinov2:
    """Return the same network with its positions interpolated once, for inputs of one size; weights are shared."""
    shape = Dinov2Shape(model.norm.weight.shape[0], len(model.blocks), model.blocks[0].attn.heads)
    with torch.device("meta"):
        fixed = Dinov2(shape, patches)
    state = {**model.state_dict(), "pos_embed": model.positions(patches).detach()}
    fixed.load_state_dict(state, assign=True)
    return fixed.eval()
