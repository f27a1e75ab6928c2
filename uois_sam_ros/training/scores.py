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
from .tokens import TokenSet


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

    heads = nn.ModuleList([decoder.evidence, decoder.iou_head])
    return _fit(heads, loss, data.subset(data.on_object), config)


def train_hdnet(model: CompactModel, data: TokenSet, config: ScoreConfig) -> list[dict[str, float]]:
    """Fit HDNet to the IoU with the clicked object."""
    decoder, hdnet = model.decoder, model.hdnet

    def loss(batch: TokenSet) -> torch.Tensor:
        with torch.no_grad():
            iou, mask_tokens, iou_token = decoder.score(batch.tokens[None], batch.pooled[None])
        return ((hdnet(mask_tokens[0], iou_token[0], iou[0]) - batch.iou_object) ** 2).mean()

    return _fit(hdnet, loss, data, config)


@torch.no_grad()
def selection_quality(model: CompactModel, data: TokenSet) -> dict[str, float]:
    """Mean IoU with the clicked object when a score picks the hypothesis, and two controls."""
    model.eval()
    data = data.subset(data.on_object)
    iou, mask_tokens, iou_token = model.decoder.score(data.tokens[None], data.pooled[None])
    refined = model.hdnet(mask_tokens[0], iou_token[0], iou[0])
    pick = lambda score: float(data.iou_object.gather(1, score.argmax(1, keepdim=True)).mean())
    return {"decoder": pick(iou[0]), "hdnet": pick(refined), "oracle": pick(data.iou_object),
            "random": float(data.iou_object.mean())}


def _fit(heads: nn.Module, loss: Callable[[TokenSet], torch.Tensor], data: TokenSet,
         config: ScoreConfig) -> list[dict[str, float]]:
    """Minimise ``loss`` over the parameters of ``heads``; keep the best epoch on held-out views."""
    generator = torch.Generator().manual_seed(config.seed)
    last = data.view >= int(data.view.max()) * (1 - config.held_out)
    fit, held = data.subset(~last), data.subset(last)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, config.epochs // 3), 0.1)
    best, best_state, history = float("inf"), None, []
    for epoch in tqdm(range(config.epochs), desc="epochs"):
        heads.train()
        total = 0.0
        order = torch.randperm(len(fit.view), generator=generator)
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
                             torch.arange(len(held.view)).split(4096)) / len(held.view)
        history.append({"epoch": epoch + 1, "loss": total / len(chunks), "validation": validation})
        if validation < best:
            best, best_state = validation, copy.deepcopy(heads.state_dict())
    heads.load_state_dict(best_state)
    return history
