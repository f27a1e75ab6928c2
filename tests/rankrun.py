"""Run under torchrun by ``test_training_heads``: both heads in one group of processes."""

from __future__ import annotations

import sys

import torch

from uois_sam_ros.training.clicks import ClickConfig
from uois_sam_ros.training.fit import FitConfig
from uois_sam_ros.training.hdnet import HdnetConfig
from uois_sam_ros.training.hpg import HpgConfig
from uois_sam_ros.training.paper import RunConfig, train_hdnet, train_hpg
from uois_sam_ros.training.ranks import Ranks, started_ranks

HPG = HpgConfig(FitConfig(epochs=2, batch=4), width=8, widths=(8, 8))
HDNET = HdnetConfig(FitConfig(epochs=2, batch=30), ClickConfig(per_frame=12))


def train(weights: str, data: str, out: str, cache: str, ranks: Ranks) -> None:
    """Train HPG (batch norm) and HDNet (dropout)."""
    run = RunConfig("shared-tiny", data, out, sam=f"{weights}/sam_tiny.pth", cache=cache, held_out=0.2)
    train_hpg(run, HPG, ranks)
    train_hdnet(run, HDNET, ranks)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with started_ranks("cpu") as ranks:
        train(*sys.argv[1:], ranks)
