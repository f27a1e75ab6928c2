"""Training of HDNet on decoded clicks, as in arXiv 2409.15481: squared error to the IoU with the clicked object."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from ..models.hdnet import HDNet
from .clicks import ClickConfig, Clicks
from .fit import FitConfig


@dataclass(frozen=True)
class HdnetConfig:
    """What the paper leaves open has its reason here.

    Attributes:
        fit: batches of 30 prompts, as published.
        clicks: how many a frame, and how many of them miss all objects.
        hidden, dropout: 256 and 0.1, those of Crowd-SAM's parallel head, which the paper follows.
    """

    fit: FitConfig = field(default_factory=lambda: FitConfig(batch=30))
    clicks: ClickConfig = field(default_factory=ClickConfig)
    hidden: int = 256
    dropout: float = 0.1


class HdnetLoss(nn.Module):
    """Squared error of each click, averaged over its hypotheses."""

    def __init__(self, network: HDNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, mask_tokens: torch.Tensor, iou_token: torch.Tensor, iou_predictions: torch.Tensor,
                target: torch.Tensor) -> torch.Tensor:
        """Return float32[B] of the tensors of ``Clicks``."""
        scores = self.network(mask_tokens.float(), iou_token.float(), iou_predictions.float())
        return ((scores.float() - target) ** 2).mean(1)


class HdnetTask:
    """HDNet for ``fit``; see ``fit.Task``."""

    def __init__(self, network: HDNet, train: Clicks, valid: Clicks, key: str) -> None:
        self.module, self.key = HdnetLoss(network), key
        self._parts = {"train": train, "valid": valid}
        self.sizes = {name: len(part) for name, part in self._parts.items()}

    def batches(self, part: str, indices: Sequence[torch.Tensor], workers: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield what ``HdnetLoss`` reads of each batch; everything is in memory."""
        clicks = self._parts[part]
        for index in indices:
            yield (clicks.mask_tokens[index], clicks.iou_token[index], clicks.iou_predictions[index],
                   clicks.target[index])


@torch.no_grad()
def selection_quality(network: HDNet, clicks: Clicks) -> dict[str, float]:
    """Mean IoU with the clicked object when a score picks the hypothesis; ``random`` picks any.

    ``background`` is the mean best score of background clicks: what the score threshold must lie above.
    """
    network = copy.deepcopy(network).cpu().eval()
    scores = network(clicks.mask_tokens.float(), clicks.iou_token.float(), clicks.iou_predictions.float())
    found = clicks.on_object
    target = clicks.target[found]

    def picked(score: torch.Tensor) -> float:
        return float(target.gather(1, score[found].argmax(1, keepdim=True)).mean())

    return {"decoder": picked(clicks.iou_predictions), "hdnet": picked(scores), "oracle": picked(clicks.target),
            "random": float(target.mean()), "clicks": int(found.sum()),
            "background": float(scores[~found].amax(1).mean())}
