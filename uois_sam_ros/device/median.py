"""The median of the marked values of B pictures without sorting: every round compares all values with 64 levels."""

from __future__ import annotations

import torch

#: Levels a round and rounds: 64 ** 4 steps between the bounds, 0.2 micrometres for depth up to 4 m.
LEVELS, ROUNDS = 64, 4


def masked_median(values: torch.Tensor, marked: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return float32[B], the median of the marked values as numpy defines it; 0 where nothing is marked.

    Two values nearer to each other than a step may be taken for one another.

    Args:
        values: float32[B, N], the marked ones in (low, high].
        marked: bool[B, N]; N under 2 ** 24.
    """
    values = torch.where(marked, values, torch.inf)
    count = marked.float().sum(dim=1)
    first, second = torch.floor((count - 1) / 2) + 1, torch.floor(count / 2) + 1  # ranks of the middle two, from 1
    shares = torch.arange(1, LEVELS + 1, dtype=torch.float32, device=values.device) / LEVELS
    bottom, width = torch.full_like(count, low), high - low
    for _ in range(ROUNDS):
        levels = bottom[:, None] + width * shares
        up_to = (values[:, None] <= levels[:, :, None]).float().sum(dim=2)
        below = (up_to < first[:, None]).float().sum(dim=1)  # levels under the median
        width = width / LEVELS
        bottom = bottom + width * below
    lower = torch.where(values <= (bottom + 2 * width)[:, None], values, -torch.inf).amax(dim=1)
    reached = (values <= lower[:, None]).float().sum(dim=1)
    next_greater = torch.where(values > lower[:, None], values, torch.inf).amin(dim=1)
    upper = torch.where(reached >= second, lower, next_greater)
    return torch.where(count > 0, (lower + upper) / 2, 0.0)
