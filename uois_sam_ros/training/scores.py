"""Stages 2 and 3: the decoder's IoU head to convergence, then HDNet on top of it.

HDNet learns what an object is: mean squared error to the true IoU with the clicked object, target
0 for background clicks (arXiv 2409.15481, HDNet loss). Everything below it is frozen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm

from ..models.compact import CompactModel
from .clicks import Clicks
from .tokens import TokenSet, decoded


@dataclass(frozen=True)
class ScoreConfig:
    """Both score stages. The rate drops by ten every third of the epochs, as in the paper."""

    epochs: int = 30
    lr: float = 1e-3
    weight_decay: float = 1e-4
    batch: int = 512
    held_out: float = 0.15
    seed: int = 0


def train_iou(model: CompactModel, data: TokenSet, config: ScoreConfig) -> list[dict[str, float]]:
    """Fit evidence and IoU head to the IoU with the best level; background clicks do not count."""
    decoder = model.decoder

    def loss(batch: TokenSet) -> torch.Tensor:
        iou, _, _ = decoder.score(batch.tokens[None], batch.pooled[None])
        return ((iou[0] - batch.iou_any) ** 2).mean()

    clicked = data.subset(data.on_object)
    return _fit(nn.ModuleList([decoder.evidence, decoder.iou_head]), loss, clicked, clicked.view, config)


def train_hdnet(model: CompactModel, data: TokenSet, config: ScoreConfig) -> list[dict[str, float]]:
    """Fit HDNet to the IoU with the clicked object."""
    hdnet = model.hdnet

    def loss(batch: Clicks) -> torch.Tensor:
        return ((hdnet(batch.mask_tokens, batch.iou_token, batch.iou_predictions) - batch.target) ** 2).mean()

    clicks = decoded(model, data)
    return _fit(hdnet, loss, clicks, clicks.frame, config)


def _fit(heads: nn.Module, loss: Callable[[TokenSet | Clicks], torch.Tensor], data: TokenSet | Clicks,
         view: torch.Tensor, config: ScoreConfig) -> list[dict[str, float]]:
    """Minimise ``loss`` over the parameters of ``heads``; keep the best epoch on held-out views."""
    generator = torch.Generator().manual_seed(config.seed)
    last = view >= int(view.max()) * (1 - config.held_out)
    count, held_count = int((~last).sum()), int(last.sum())
    fit, held = data.subset(~last), data.subset(last)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, config.epochs // 3), 0.1)
    best, best_state, history = float("inf"), None, []
    for epoch in tqdm(range(config.epochs), desc="epochs"):
        heads.train()
        total = 0.0
        order = torch.randperm(count, generator=generator)
        chunks = order.split(config.batch)
        for index in chunks:
            value = loss(fit.subset(index))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += float(value.detach())
        schedule.step()
        heads.eval()
        with torch.no_grad():
            validation = sum(float(loss(held.subset(i))) * len(i) for i in
                             torch.arange(held_count).split(4096)) / held_count
        history.append({"epoch": epoch + 1, "loss": total / len(chunks), "validation": validation})
        if validation < best:
            best, best_state = validation, copy.deepcopy(heads.state_dict())
    heads.load_state_dict(best_state)
    return history
