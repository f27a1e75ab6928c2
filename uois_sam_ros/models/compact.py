"""The compact model as one module: what training builds and checkpoints hold."""

from __future__ import annotations

from torch import nn

from .compact_decoder import CompactDecoder
from .compact_encoder import CompactEncoder
from .hdnet import HDNet


class CompactModel(nn.Module):
    """Encoder with HPG head, promptable decoder and HDNet, sizes matched to one another."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = CompactEncoder()
        self.decoder = CompactDecoder(self.encoder.pixel_channels, self.encoder.middle_channels,
                                      self.encoder.context_channels)
        self.hdnet = HDNet(self.decoder.width)
