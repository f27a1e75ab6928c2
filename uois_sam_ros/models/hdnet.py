"""The Hierarchical Discrimination Network: re-score mask hypotheses so that whole objects win.

Refined score = decoder score + MLP([IoU token, mask token]) (arXiv 2409.15481, eq. for S').
The last layer starts at zero, so an untrained HDNet equals the decoder's own score.
"""

from __future__ import annotations

import torch
from torch import nn

from .layers import MLP


class HDNet(nn.Module):
    """Tokens and decoder scores -> refined scores.

    Args:
        width: token width C.
        hidden: units a layer.
        dropout: on the input, during training.
    """

    def __init__(self, width: int = 128, hidden: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.mlp = MLP(2 * width, hidden, 1, depth=3)
        nn.init.zeros_(self.mlp.layers[-1].weight)
        nn.init.zeros_(self.mlp.layers[-1].bias)

    def forward(self, mask_tokens: torch.Tensor, iou_token: torch.Tensor,
                iou_predictions: torch.Tensor) -> torch.Tensor:
        """Return refined scores float32[M, H]; shapes as in ``models/spec.py`` (COMPACT_HDNET)."""
        repeated = iou_token[:, None].expand_as(mask_tokens)
        residual = self.mlp(self.dropout(torch.cat([repeated, mask_tokens], dim=-1)))
        return iou_predictions + residual.squeeze(-1)
