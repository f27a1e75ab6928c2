"""Collect what the score heads learn from: frozen tokens with the true IoU of their masks.

The networks below are frozen in these stages, so each view is run once and only small tensors are
kept; the heads then train on them to convergence in minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import torch
from torch.nn import functional as F
from tqdm import tqdm

from ..models.compact import CompactModel
from .dataset import SampleConfig, TrainingStream


@dataclass(frozen=True)
class TokenSet:
    """N clicks with H hypotheses each.

    Attributes:
        tokens: float32[N, H + 2, C]; pooled: float32[N, H, E].
        iou_any: float32[N, H], IoU with the best fitting level (part, object, group): what the
            decoder's own score predicts. iou_object: float32[N, H], IoU with the clicked object,
            0 for background clicks: what HDNet predicts.
        on_object: bool[N]. view: int64[N], the view a click belongs to.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor
    iou_any: torch.Tensor
    iou_object: torch.Tensor
    on_object: torch.Tensor
    view: torch.Tensor

    def subset(self, keep: torch.Tensor) -> TokenSet:
        """Return the clicks where bool[N] ``keep`` is true."""
        return TokenSet(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


@torch.no_grad()
def collect_tokens(model: CompactModel, folders: Sequence[str], views: int, sample: SampleConfig,
                   peaks: int = 16) -> TokenSet:
    """Run frozen encoder and decoder over ``views`` training views, from the folders in turns.

    Clicks are those of the stream (objects and background) and the HPG's own strongest peaks, so
    that the heads see the prompts of the run time, wrong ones included.
    """
    model.eval()
    streams = cycle([iter(TrainingStream(folder, sample)) for folder in folders])
    kept: TokenSet | None = None
    seen, batch = 0, {}
    for number in tqdm(range(views), desc="tokens", unit="view"):
        if seen == len(batch.get("image", ())):
            seen, batch = 0, next(next(streams))
        row = view_tokens(model, {key: value[seen:seen + 1] for key, value in batch.items()}, peaks, number)
        seen += 1
        clicks = len(row.view)
        if kept is None:  # in one piece: kept one by one, small tensors hold the memory of large ones between them
            kept = TokenSet(*(torch.empty(views * clicks, *part.shape[1:], dtype=part.dtype) for part in _parts(row)))
        for whole, part in zip(_parts(kept), _parts(row)):
            whole[number * clicks:(number + 1) * clicks] = part
    return kept


def _parts(tokens: TokenSet) -> list[torch.Tensor]:
    return [getattr(tokens, name) for name in tokens.__dataclass_fields__]


def view_tokens(model: CompactModel, sample: dict[str, torch.Tensor], peaks: int, view: int) -> TokenSet:
    """Run the frozen networks over one view (batch of 1) and click it; ``view`` is its number."""
    encoder, decoder = model.encoder, model.decoder
    pixel, middle, context, foreground, heatmap = encoder(sample["image"])
    points = torch.cat([sample["points"], heat_peaks(heatmap, peaks)], dim=1)
    tokens = decoder.encode_points(pixel, middle, context, points)
    origin = decoder.origins(pixel, points, decoder.unit_points(points, pixel))
    weights = decoder.generate(tokens[:, :, 1:1 + decoder.hypotheses], origin)
    coarse = decoder.coarse_logits(decoder.coarse_tensor(pixel, middle), weights)
    pooled = decoder.pool(decoder.mean_probabilities(coarse, pixel, weights), pixel, middle, foreground)
    count = points.shape[1]
    masks = decoder.full_logits(coarse, pixel, weights)[0].unflatten(0, (count, -1)) > 0
    maps = sample["maps"][0].long()
    column = points[0, :, 0].round().long().clamp(0, maps.shape[2] - 1)
    row = points[0, :, 1].round().long().clamp(0, maps.shape[1] - 1)
    clicked = maps[:, row, column]
    iou = torch.stack([_iou(masks, maps[level], clicked[level]) for level in range(3)])
    return TokenSet(tokens[0], pooled[0].unflatten(0, (count, -1)), iou.max(0).values, iou[0],
                    clicked[0] > 0, torch.full((count,), view))


def _iou(masks: torch.Tensor, level_map: torch.Tensor, clicked: torch.Tensor) -> torch.Tensor:
    """IoU of bool[P, H, h, w] with the level's mask at each click; 0 where it has none."""
    truth = (level_map[None] == clicked[:, None, None]) & (clicked > 0)[:, None, None]
    truth = truth.flatten(1).float()
    flat = masks.flatten(2).float()
    inter = (flat @ truth[:, :, None]).squeeze(-1)
    union = flat.sum(-1) + truth.sum(-1)[:, None] - inter
    return inter / union.clamp(min=1)


def heat_peaks(heatmap: torch.Tensor, count: int) -> torch.Tensor:
    """The strongest local maxima of [1, 1, h/2, w/2] as working points [1, count, 2]."""
    peak = heatmap * (F.max_pool2d(heatmap, 3, 1, 1) == heatmap)
    index = peak.flatten().topk(count).indices
    cols = heatmap.shape[-1]
    return torch.stack([index % cols, index // cols], -1)[None].float() * 2 + 0.5
