"""Checkpoints of the tiny stand-ins with random weights, in the official format, for tests of training."""

from __future__ import annotations

from pathlib import Path

import torch

from uois_sam_ros.models.dinov2 import build_dinov2
from uois_sam_ros.models.sam import build_sam


def write_tiny_checkpoints(folder: Path) -> Path:
    """Write ``sam_tiny.pth`` and ``dinov2_tiny.pth``; the packages start some embeddings at zero, here nothing is."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name, network in (("sam_tiny", build_sam("tiny")), ("dinov2_tiny", build_dinov2("tiny"))):
        with torch.no_grad():
            for value in network.parameters():
                value.add_(0.02 * torch.randn_like(value))
        torch.save(network.state_dict(), folder / f"{name}.pth")
    return folder
