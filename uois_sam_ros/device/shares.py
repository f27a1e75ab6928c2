"""Shares of pixel counts in whole numbers: tables of what the host decides in double precision, which TensorRT lacks.

A comparison of counts with a share of a count then has the same outcome everywhere, whatever a device's rounding.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class OfCount(nn.Module):
    """A whole number for every pixel count.

    Args:
        table: int[most + 1], by count.
    """

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("table", torch.from_numpy(table.astype(np.int64)), persistent=False)

    def forward(self, counts: torch.Tensor) -> torch.Tensor:
        """Look int64[...] up; int64[...]."""
        return self.table[counts]


def most_of(share: float, most: int) -> np.ndarray:
    """Return int64[most + 1], by count the greatest k with ``k <= share * count``."""
    return np.floor(share * np.arange(most + 1)).astype(np.int64)


def least_of(share: float, most: int) -> np.ndarray:
    """Return int64[most + 1], by count the least k with ``k >= share * count``."""
    return np.ceil(share * np.arange(most + 1)).astype(np.int64)


def most_in_ratio(ratio: float, most: int) -> np.ndarray:
    """Return int64[most + 1], by count the greatest k with ``k / count <= ratio``; the quotient is rounded, too."""
    count = np.maximum(np.arange(most + 1), 1)
    found = most_of(ratio, most) + 1
    for _ in range(2):
        found = np.where(found / count <= ratio, found, found - 1)
    return found
