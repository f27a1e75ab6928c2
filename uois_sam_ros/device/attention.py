"""The attention of SAM's image encoder through torch's fused kernels, with its relative positions as a bias.

The package's own forward writes the attention matrix out several times, and looks positions up with an index that it
makes on the host at every call: a GPU waits for that, and a CUDA graph refuses it. Here the index is a buffer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class FusedAttention(nn.Module):
    """Takes over the parameters of a ``segment_anything`` attention block with relative positions, names included.

    Args:
        attention: of one block; its windows (or its whole grid) have the size that its position tables are made for.
    """

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.num_heads, self.scale = attention.num_heads, attention.scale
        self.qkv, self.proj = attention.qkv, attention.proj
        self.rel_pos_h, self.rel_pos_w = attention.rel_pos_h, attention.rel_pos_w
        for name, table in (("_rows", self.rel_pos_h), ("_cols", self.rel_pos_w)):
            side = (len(table) + 1) // 2
            place = torch.arange(side, device=table.device)
            self.register_buffer(name, place[:, None] - place + side - 1, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend within float[B, h, w, C]."""
        count, height, width, _ = x.shape
        heads = self.qkv(x).reshape(count, height * width, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        on_grid = query.unflatten(2, (height, width))
        down = torch.einsum("bnhwc,hkc->bnhwk", on_grid, self.rel_pos_h[self._rows])
        across = torch.einsum("bnhwc,wkc->bnhwk", on_grid, self.rel_pos_w[self._cols])
        bias = (down[..., :, None] + across[..., None, :]).flatten(4).flatten(2, 3)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype), scale=self.scale)
        return self.proj(mixed.transpose(1, 2).reshape(count, height, width, -1))


def fuse_attention(encoder: nn.Module) -> None:
    """Replace the attention of every block of a ``segment_anything`` image encoder, in place; once is enough."""
    for block in encoder.blocks:
        if not isinstance(block.attn, FusedAttention):
            block.attn = FusedAttention(block.attn)
