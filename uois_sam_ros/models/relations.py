"""How each candidate mask lies among the others of its frame: what HDNet is told beside the tokens.

A token knows its own mask. Whether that mask is a part of something whole or holds several whole things shows in the
masks that other prompts, and the other hypotheses of the same prompt, came to.
"""

from __future__ import annotations

import torch

#: Numbers a candidate; ``relations`` tells them in this order.
NAMES = ("agreed", "agreeing", "held", "holding", "holder", "holders", "rival", "part_rival", "whole_rival",
         "sibling_iou", "sibling_held", "sibling_holder", "lead")
COUNT = len(NAMES)
#: Every n-th pixel of a mask is compared, from the middle of the first n on.
STEP = 4
#: One of two masks is the smaller when its share in the other is so many times the other's in it.
SMALLER = 1.25
#: Masks with a higher IoU compete for the same object.
SAME = 0.5


def shared_cells(masks: torch.Tensor) -> torch.Tensor:
    """Return float32[B, N, N], the cells that masks share; N = P * H, the diagonal holds their areas.

    Args:
        masks: bool[B, P, H, h, w].
    """
    cells = masks[..., STEP // 2::STEP, STEP // 2::STEP].flatten(1, 2).flatten(2).float()
    return cells @ cells.transpose(1, 2)


def relations(shared: torch.Tensor, iou_predictions: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return float32[B, P, H, R] in about [-1, 3].

    For mask i among the masks j of other prompts, weighted by their predicted IoU s:

    * agreed: the most that one overlaps (IoU * s); agreeing: log(1 + sum of IoU * s^4);
    * held, holding: the same of the share of smaller ones that lies in i; holder, holders: of i's share in larger ones;
    * rival: the best s of those that compete for the same object, less i's own;
    * part_rival, whole_rival: the most of a share in i, or of i's in it, times (1 - IoU) * s.

    Among the hypotheses of its own prompt: the greatest IoU, share in i, and share of i; lead: its s less their best.

    Args:
        shared: from ``shared_cells``. iou_predictions: float32[B, P, H].
        counted: bool[B, P]; other prompts do not regard the rest.
    """
    batch, prompts, hypotheses = iou_predictions.shape
    area = shared.diagonal(dim1=1, dim2=2)
    iou = shared / (area[:, :, None] + area[:, None] - shared).clamp(min=1)
    inside = shared / area[:, :, None].clamp(min=1)
    holds = inside.transpose(1, 2)
    prompt = torch.arange(prompts, device=shared.device).repeat_interleave(hypotheses)
    own = prompt[:, None] == prompt
    sibling = (own & ~torch.eye(len(prompt), dtype=torch.bool, device=shared.device)).to(shared.dtype)
    other = (~own & counted.repeat_interleave(hypotheses, dim=1)[:, None]).to(shared.dtype)
    score = iou_predictions.flatten(1)
    weight = score[:, None] * other
    strong = score[:, None] ** 4 * other
    smaller = holds * (holds > SMALLER * inside)
    larger = inside * (inside > SMALLER * holds)
    most = lambda values: values.amax(2)
    many = lambda values: torch.log1p(values.sum(2))
    found = torch.stack([
        most(iou * weight), many(iou * strong),
        most(smaller * weight), many(smaller * strong),
        most(larger * weight), many(larger * strong),
        most((iou > SAME) * weight) - score,
        most(holds * (1 - iou) * weight), most(inside * (1 - iou) * weight),
        most(iou * sibling), most(holds * sibling), most(inside * sibling),
        score - most(score[:, None] * sibling)], dim=-1)
    return found.unflatten(1, (prompts, hypotheses))
