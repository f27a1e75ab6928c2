"""The frozen networks below HPG and HDNet, as a preset names them, in torch and with weights from checkpoint files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import EncodingConfig, preset
from ..encoding.kinds import INPUT_KINDS
from ..errors import ConfigError
from ..models.dinov2 import at_grid, load_dinov2
from ..models.sam import SamPromptDecoder, load_sam
from ..models.spec import ModelSpec, model_spec
from ..types import Frame, Grid

#: Digits of a sha256 that name a shelf of the cache.
SHA_DIGITS = 16


@dataclass(frozen=True)
class Chain:
    """The networks of a preset in the paper's arrangement, by their names in ``models/spec.py``.

    Attributes:
        encoding: working grid.
        sam: "sam_<variant>". hpg: the prompt generator. prompts_from: the encoder whose features it reads.
    """

    encoding: EncodingConfig
    sam: str
    hpg: str
    prompts_from: str

    @property
    def hdnet(self) -> str:
        """Name of the rescorer."""
        return f"{self.sam}_hdnet"


def chain_of(name: str) -> Chain:
    """Return the networks of a preset.

    Raises:
        ConfigError: unknown preset, or one without SAM.
    """
    config = preset(name)
    decoder = config.decoding.decoder
    if config.method != "network" or not decoder.startswith("sam_"):
        raise ConfigError(f"--preset {name}: expected one with SAM's decoder (paper, paper-b, paper-h, shared, "
                          f"paper-tiny, shared-tiny) or compact, got one with {decoder}")
    *encoders, hpg = config.encoding.encoders
    features = model_spec(hpg).input_names[0]
    (prompts_from,) = (encoder for encoder in encoders if features in model_spec(encoder).output_names)
    return Chain(config.encoding, decoder.removesuffix("_decoder"), hpg, prompts_from)


class Backbone:
    """A frozen image encoder with the weights of a file.

    Args:
        name: sam_<variant>_encoder or dinov2_<variant>_encoder.

    Raises:
        ModelError: a file that is not the one expected.
    """

    def __init__(self, name: str, path: str | Path, device: str = "cpu") -> None:
        self.spec: ModelSpec = model_spec(name)
        self.device = device
        family, _, variant = name.removesuffix("_encoder").partition("_")
        if family == "sam":
            self.network: Any = load_sam(path, variant)
            self.module: nn.Module = self.network.image_encoder
        else:
            self.network = self.module = at_grid(load_dinov2(path, variant))
        self.network.to(device).requires_grad_(False)
        self._path = Path(path)

    @cached_property
    def shelf_name(self) -> str:
        """Name of this network with these weights in a cache."""
        digest = hashlib.sha256()
        with open(self._path, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return f"{self.spec.name}-{digest.hexdigest()[:SHA_DIGITS]}"

    def decoder(self) -> SamPromptDecoder:
        """Return the mask decoder of a SAM."""
        return SamPromptDecoder(self.network).eval()

    @torch.no_grad()
    def encode(self, frame: Frame, grid: Grid) -> np.ndarray:
        """Return the features of a frame, float16[C, a, b].

        They are computed in fp32, as at run time, whatever the precision of training.
        """
        image = INPUT_KINDS[self.spec.input_kind].build(frame, grid, np.empty(0), None)
        features = self.module(torch.from_numpy(image).to(self.device))
        return features[0].half().cpu().numpy()
