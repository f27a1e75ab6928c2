"""Several processes train the base stage together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import write_block_shards  # noqa: E402

from uois_sam_ros.training.checkpoint import load_checkpoint  # noqa: E402
from uois_sam_ros.training.dataset import SampleConfig, TrainingStream  # noqa: E402

TESTS = Path(__file__).parent
PATIENCE_S = 300


def launch(*command) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_gradients_are_averaged_and_one_rank_s_wish_stops_all(tmp_path):
    launch(TESTS / "rankgradients.py", tmp_path)
    for rank in (0, 1):
        facts = json.loads((tmp_path / f"{rank}.json").read_text())
        assert facts == {"weight": [[1.5, 3.0]], "bias": [1.0], "unused": True, "any": True, "none": False}


def test_ranks_draw_from_shards_of_their_own(tmp_path):
    folder = str(write_block_shards(tmp_path, shards=4))
    sample = SampleConfig(sizes=((96, 128),), batch=2, prompts=5, seed=4)
    one, two = (next(iter(TrainingStream(folder, sample, rank=rank, world=2))) for rank in (0, 1))
    assert not torch.equal(one["image"], two["image"])


def test_two_ranks_train_the_base(tmp_path):
    """They share a batch of four, count views together, and resume where they stopped, also as one process."""
    data = write_block_shards(tmp_path / "data")
    base = ["train", "base", "--data", data, "--out", tmp_path / "run", "--size", "96x128", "--batch", "4",
            "--workers", "0"]
    said = launch("-m", "--", "uois_sam_ros.cli", *base, "--samples", "8")
    assert said.count("wrote ") == 1
    assert load_checkpoint(tmp_path / "run" / "base.pth")["samples"] == 8
    from uois_sam_ros.cli import main

    assert main([*map(str, base), "--samples", "12"]) == 0
    assert load_checkpoint(tmp_path / "run" / "base.pth")["samples"] == 12
