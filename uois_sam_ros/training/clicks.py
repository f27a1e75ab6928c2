"""Clicks on labelled frames, decoded once: tokens and predicted scores with the true IoU of their masks.

The decoder is frozen, so what HDNet reads of a click never changes; drawing 30 clicks a frame once and keeping their
tokens makes an epoch cost seconds instead of a decoding of every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..config import EncodingConfig
from ..encoding.transform import working_grid
from .backbones import Backbone
from .cache import Shelf
from .prepare import FEATURES, IGNORED, Item, resize_label
from .ranks import Ranks
from .targets import MIN_PIXELS, sample_prompts


@dataclass(frozen=True)
class Clicks:
    """N clicks with H hypotheses each.

    Attributes:
        mask_tokens: [N, H, C]; iou_token: [N, C]; iou_predictions: [N, H]; float16 where they come from a cache.
        target: [N, H], IoU with the clicked object, 0 for background clicks: what HDNet predicts.
        on_object: bool[N]. frame: int64[N], the frame a click belongs to.
    """

    mask_tokens: torch.Tensor
    iou_token: torch.Tensor
    iou_predictions: torch.Tensor
    target: torch.Tensor
    on_object: torch.Tensor
    frame: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)

    def subset(self, keep: torch.Tensor) -> Clicks:
        """Return the clicks where bool[N] ``keep`` is true, or with these numbers."""
        return Clicks(*(getattr(self, spec.name)[keep] for spec in fields(self)))


@dataclass(frozen=True)
class ClickConfig:
    """Where clicks fall; the paper tells neither number.

    Attributes:
        per_frame: 30, one of the paper's batches.
        background_share: 0.5, one background click for each on an object, as the public code of Crowd-SAM has it whose
            parallel IoU head HDNet follows: half of a heatmap's wrong peaks are on no object at all.
        seed: with the picture it decides where its clicks fall, whatever else is trained on.
    """

    per_frame: int = 30
    background_share: float = 0.5
    seed: int = 0

    @property
    def name(self) -> str:
        """Part of the name of a shelf in the cache."""
        return f"clicks-{self.per_frame}-{self.background_share:g}-{self.seed}"


def collect_clicks(items: Sequence[Item], backbone: Backbone, features: Shelf, config: ClickConfig,
                   encoding: EncodingConfig, ranks: Ranks) -> Clicks:
    """Click and decode every frame, or take it from the cache; each rank decodes its share.

    Args:
        backbone: SAM's encoder, whose decoder answers the clicks. features: its shelf in the cache.
    """
    shelf = features.cache.shelf(f"{features.folder.name}-{config.name}")
    decoder = backbone.decoder()
    keys = [item.labelled_key for item in items]
    for number, (item, key) in enumerate(tqdm(list(zip(items, keys)), desc="clicks", unit="frame",
                                              disable=None if ranks.first else True)):
        if number % ranks.world == ranks.rank and shelf.get(key) is None:
            embedding = torch.from_numpy(features.load(item.key)[FEATURES])[None].float().to(backbone.device)
            shelf.put(key, _click(item, decoder, embedding, config, encoding))
    ranks.wait()
    rows = [shelf.load(key) for key in keys]
    tensors = {name: torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in rows[0]}
    frame = torch.arange(len(rows)).repeat_interleave(config.per_frame)
    return Clicks(**tensors, frame=frame)


@torch.no_grad()
def _click(item: Item, decoder: nn.Module, embedding: torch.Tensor, config: ClickConfig,
           encoding: EncodingConfig) -> dict[str, np.ndarray]:
    label = resize_label(item.label(), working_grid(item.hw, encoding).resized_hw)
    known = label != IGNORED
    objects = np.where(known, label, 0)
    counts = np.bincount(objects.ravel())
    ids = np.flatnonzero(counts >= MIN_PIXELS)
    rng = np.random.default_rng([config.seed, int(item.key[:16], 16)])
    prompts = sample_prompts(label, label, np.zeros_like(label), ids[ids > 0], config.per_frame,
                             config.background_share, rng)
    clicked = prompts.wanted[:, 0]
    masks, iou, mask_tokens, iou_token = decoder(embedding, torch.from_numpy(prompts.points).to(embedding.device))
    masks = masks[..., :label.shape[0], :label.shape[1]].cpu().numpy() > 0
    return {"mask_tokens": mask_tokens.half().cpu().numpy(), "iou_token": iou_token.half().cpu().numpy(),
            "iou_predictions": iou.half().cpu().numpy(), "target": true_iou(masks & known, objects, clicked),
            "on_object": clicked > 0}


def true_iou(masks: np.ndarray, label: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    """Return the IoU float32[N, H] of bool[N, H, h, w] masks with the clicked objects int[N]; 0 for background."""
    truth = (label[None] == clicked[:, None, None]) & (clicked > 0)[:, None, None]
    shared = (masks & truth[:, None]).sum((2, 3))
    union = (masks | truth[:, None]).sum((2, 3))
    return (shared / np.maximum(union, 1)).astype(np.float32)
