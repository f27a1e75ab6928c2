"""Training of the Heatmap-based Prompt Generator on cached features, as arXiv 2409.15481 describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from ..config import EncodingConfig
from ..encoding.transform import working_grid
from ..models.hpg import HPG
from ..models.spec import ModelSpec
from .cache import Shelf
from .fit import FitConfig
from .prepare import FEATURES, IGNORED, Item, data_key, map_label
from .targets import visible_centroid

#: Size of the maps that ``sigma_px`` is told for: the paper's 336x448.
SIGMA_AT = 448


@dataclass(frozen=True)
class HpgConfig:
    """What the paper leaves open has its reason here.

    Attributes:
        sigma_px: of the Gaussians, in pixels of a map 448 wide, scaled to other maps. The paper does not tell it; 8 is
            about half of a small object (16 px of 448), so that peaks of neighbours stay apart and still are a few
            cells wide for the 3x3 peak test.
        foreground_weight: of the foreground loss beside the heatmap's, 0.1 in the paper.
        width, widths: of the upsampler, see ``models/hpg.py``; small ones make stand-ins trainable on a processor.
    """

    fit: FitConfig = field(default_factory=FitConfig)
    sigma_px: float = 8.0
    foreground_weight: float = 0.1
    width: int = 256
    widths: tuple[int, ...] = (128, 64, 32, 32)


class HpgFrames(Dataset):
    """Item -> features float16[C, a, b], classes uint8[h, w] (0, 1, 255 = not counted), heat float32[1, h, w]."""

    def __init__(self, items: Sequence[Item], shelf: Shelf, spec: ModelSpec, encoding: EncodingConfig,
                 sigma_px: float) -> None:
        self.items, self.shelf, self.spec, self.encoding = items, shelf, spec, encoding
        self.map_hw = tuple(int(size) for size in spec.outputs[0].dims[2:])
        self.sigma = sigma_px * max(self.map_hw) / SIGMA_AT

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        item = self.items[index]
        label = map_label(item, self.spec.input_kind, self.map_hw, working_grid(item.hw, self.encoding))
        classes = np.where(label == IGNORED, 255, label > 0).astype(np.uint8)
        features = self.shelf.load(item.key)[FEATURES]
        heat = heat_map(label, self.sigma)[None]
        return torch.from_numpy(features), torch.from_numpy(classes), torch.from_numpy(heat)


def heat_map(label: np.ndarray, sigma: float) -> np.ndarray:
    """Return the maximum of one Gaussian an object at the centroid of its visible mask, float32[h, w].

    A centroid that falls off its object (rings, L shapes) is snapped inside: a prompt there would ask for another one.
    """
    heat = np.zeros(label.shape, dtype=np.float32)
    rows, cols = (np.arange(size, dtype=np.float32) for size in label.shape)
    for value in np.unique(label):
        if value in (0, IGNORED):
            continue
        x, y = visible_centroid(label == value)
        one = np.exp(-((rows - y) ** 2) / (2 * sigma**2))[:, None] * np.exp(-((cols - x) ** 2) / (2 * sigma**2))
        np.maximum(heat, one, out=heat)
    return heat


class HpgLoss(nn.Module):
    """L_HPG of each image: ``foreground_weight`` x L_fg + mean squared error of the heatmap."""

    def __init__(self, network: HPG, foreground_weight: float) -> None:
        super().__init__()
        self.network, self.foreground_weight = network, foreground_weight

    def forward(self, features: torch.Tensor, classes: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        """Return float32[B]; arguments as ``HpgFrames`` gives them, batched."""
        class_logits, heat_logits = self.network.logits(features.float())
        error = (torch.sigmoid(heat_logits.float()) - heat) ** 2
        known = (classes != 255)[:, None]
        squared = (error * known).sum((1, 2, 3)) / known.sum((1, 2, 3)).clamp(min=1)
        return self.foreground_weight * foreground_entropy(class_logits.float(), classes) + squared


def foreground_entropy(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each image in which the pixels of each true class weigh 0.5 together, float32[B].

    Weights follow the truth, and are an image's own: a crowded picture does not thin out an empty one, and ranks need
    not know each other's pixels.

    Args:
        logits: float32[B, 2, h, w]; classes: uint8[B, h, w] with 255 = not counted.
    """
    entropy = F.cross_entropy(logits, classes.long(), ignore_index=255, reduction="none")
    total = torch.zeros(len(logits), device=logits.device)
    for kind in (0, 1):
        pixels = (classes == kind).float()
        total = total + 0.5 * (entropy * pixels).sum((1, 2)) / pixels.sum((1, 2)).clamp(min=1)
    return total


class HpgTask:
    """HPG for ``fit``; see ``fit.Task``."""

    def __init__(self, network: HPG, spec: ModelSpec, train: Sequence[Item], valid: Sequence[Item], shelf: Shelf,
                 encoding: EncodingConfig, config: HpgConfig) -> None:
        self.module = HpgLoss(network, config.foreground_weight)
        self._parts = {"train": HpgFrames(train, shelf, spec, encoding, config.sigma_px),
                       "valid": HpgFrames(valid, shelf, spec, encoding, config.sigma_px)}
        self.sizes = {name: len(part) for name, part in self._parts.items()}
        self.key = f"{spec.name} {shelf.folder.name} {config.sigma_px} {config.foreground_weight} {config.width} " \
                   f"{config.widths} {data_key((train, valid))}"

    def batches(self, part: str, indices: Sequence[torch.Tensor], workers: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield features, classes and heat of each batch."""
        numbers = [batch.tolist() for batch in indices]
        yield from DataLoader(self._parts[part], batch_sampler=numbers, num_workers=workers)
