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

from ..config import PromptingConfig
from ..models.compact import CompactModel
from ..models.relations import relations, shared_cells
from .clicks import Clicks
from .dataset import SampleConfig, TrainingStream

#: Of the HPG's strongest peaks so many are clicked, about what a frame has at the run time.
PEAKS = 24
#: Views whose masks are compared at a time.
VIEWS_AT_ONCE = 32


@dataclass(frozen=True)
class TokenSet:
    """N clicks with H hypotheses each.

    Attributes:
        tokens: float32[N, H + 2, C]; pooled: float32[N, H, E].
        iou_any: float32[N, H], IoU with the best fitting level (part, object, group): what the
            decoder's own score predicts. iou_object: float32[N, H], IoU with the clicked object,
            0 for background clicks: what HDNet predicts.
        shared: float16[N, H, P * H], cells that each mask shares with all masks of its view's P clicks.
        counted: bool[N], clicks that the run time would make: the HPG's own peaks above its threshold.
        on_object: bool[N]. view: int64[N], the view a click belongs to; the clicks of a view are neighbours.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor
    iou_any: torch.Tensor
    iou_object: torch.Tensor
    shared: torch.Tensor
    counted: torch.Tensor
    on_object: torch.Tensor
    view: torch.Tensor

    def subset(self, keep: torch.Tensor) -> TokenSet:
        """Return the clicks where bool[N] ``keep`` is true."""
        return TokenSet(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


@torch.no_grad()
def collect_tokens(model: CompactModel, folders: Sequence[str], views: int, sample: SampleConfig,
                   peaks: int = PEAKS) -> TokenSet:
    """Run frozen encoder and decoder over ``views`` training views, from the folders in turns.

    Clicks are those of the stream (objects and background) and the HPG's own strongest peaks, so
    that the heads see the prompts of the run time, wrong ones included.
    """
    model.eval()
    streams = cycle([iter(TrainingStream(folder, sample)) for folder in folders])
    rows: list[TokenSet] = []
    seen = 0
    with tqdm(total=views, desc="tokens", unit="view") as bar:
        while seen < views:
            batch = next(next(streams))
            for k in range(len(batch["image"])):
                rows.append(view_tokens(model, {key: v[k:k + 1] for key, v in batch.items()}, peaks, seen))
                seen += 1
                bar.update()
    return TokenSet(*(torch.cat([getattr(r, n) for r in rows]) for n in TokenSet.__dataclass_fields__))


def view_tokens(model: CompactModel, sample: dict[str, torch.Tensor], peaks: int, view: int) -> TokenSet:
    """Run the frozen networks over one view (batch of 1) and click it; ``view`` is its number."""
    encoder, decoder = model.encoder, model.decoder
    pixel, middle, context, foreground, heatmap = encoder(sample["image"])
    found, heights = heat_peaks(heatmap, peaks)
    points = torch.cat([sample["points"], found], dim=1)
    drawn = torch.zeros(sample["points"].shape[1], dtype=torch.bool)
    counted = torch.cat([drawn, heights[0] > PromptingConfig().heatmap_threshold])
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
    shared = shared_cells(masks[None])[0].unflatten(0, (count, -1)).half()
    return TokenSet(tokens[0], pooled[0].unflatten(0, (count, -1)), iou.max(0).values, iou[0], shared, counted,
                    clicked[0] > 0, torch.full((count,), view))


@torch.no_grad()
def decoded(model: CompactModel, found: TokenSet) -> Clicks:
    """Return what HDNet reads of whole views: the mask tokens have the relations beside them."""
    iou, mask_tokens, iou_token = model.decoder.score(found.tokens[None], found.pooled[None])
    clicks = len(found.view) // len(found.view.unique())
    by_view = (-1, clicks, model.decoder.hypotheses)
    related = [relations(shared.flatten(1, 2).float(), scores, counted) for shared, scores, counted in zip(
        found.shared.unflatten(0, by_view[:2]).split(VIEWS_AT_ONCE), iou.reshape(by_view).split(VIEWS_AT_ONCE),
        found.counted.unflatten(0, by_view[:2]).split(VIEWS_AT_ONCE))]
    known = torch.cat([mask_tokens[0], torch.cat(related).flatten(0, 1)], dim=-1)
    return Clicks(known, iou_token[0], iou[0], found.iou_object, found.on_object, found.view)


def _iou(masks: torch.Tensor, level_map: torch.Tensor, clicked: torch.Tensor) -> torch.Tensor:
    """IoU of bool[P, H, h, w] with the level's mask at each click; 0 where it has none."""
    truth = (level_map[None] == clicked[:, None, None]) & (clicked > 0)[:, None, None]
    truth = truth.flatten(1).float()
    flat = masks.flatten(2).float()
    inter = (flat @ truth[:, :, None]).squeeze(-1)
    union = flat.sum(-1) + truth.sum(-1)[:, None] - inter
    return inter / union.clamp(min=1)


def heat_peaks(heatmap: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The strongest local maxima of [1, 1, h/2, w/2] as working points [1, count, 2], and their heights [1, count]."""
    peak = heatmap * (F.max_pool2d(heatmap, 3, 1, 1) == heatmap)
    heights, index = peak.flatten().topk(count)
    cols = heatmap.shape[-1]
    return torch.stack([index % cols, index // cols], -1)[None].float() * 2 + 0.5, heights[None]
