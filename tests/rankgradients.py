"""Run under torchrun by ``test_training_ranks``: every rank writes what it sees of gradients and flags."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import nn

from uois_sam_ros.training.ranks import started_ranks


def facts(ranks) -> dict:
    """Mean gradients of a layer whose input is the rank's own, and what ``any`` says of a flag of the last rank."""
    torch.manual_seed(0)
    layer, unused = nn.Linear(2, 1), nn.Linear(2, 2)
    layer(torch.tensor([1.0, 2.0]) * (1 + ranks.rank)).sum().backward()
    ranks.average_gradients(nn.ModuleList([layer, unused]))
    return {"weight": layer.weight.grad.tolist(), "bias": layer.bias.grad.tolist(), "unused": unused.weight.grad is None,
            "any": ranks.any(ranks.rank == ranks.world - 1), "none": ranks.any(False)}


if __name__ == "__main__":
    with started_ranks("cpu") as ranks:
        Path(sys.argv[1], f"{ranks.rank}.json").write_text(json.dumps(facts(ranks)))
