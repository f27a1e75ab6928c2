"""HDNet's choice on a decoder that segments well: that of a trained compact model, frozen, and HDNet trained anew.

    uois-sam train iou --data data/train --out runs/base         # leaves iou.pth and the decoded clicks, tokens.pth
    python benchmarks/chain_choice.py --run runs/base --json choice.json

The IoU head was trained on the IoU with whichever level fits best (part, object, group); HDNet learns the IoU with the
object. It is trained as the paper has it (batches of 30 prompts, squared error, rate 1e-3 over ten every third of the
epochs) on shares of the views and on shuffled targets, with several seeds. The last fifth of the views judges: the mean
IoU, with the clicked object, of the mask that a score ranks first; intervals are paired over views.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chain_report import interval
from chain_runs import chosen_iou, mixed_targets, scores

from uois_sam_ros.machine import describe
from uois_sam_ros.models.compact import CompactModel
from uois_sam_ros.models.hdnet import HDNet
from uois_sam_ros.replay.bootstrap import paired_difference
from uois_sam_ros.replay.output import write_json
from uois_sam_ros.replay.report import format_table
from uois_sam_ros.training.checkpoint import load_checkpoint
from uois_sam_ros.training.clicks import Clicks
from uois_sam_ros.training.fit import FitConfig, fit
from uois_sam_ros.training.hdnet import HdnetTask
from uois_sam_ros.training.ranks import Ranks
from uois_sam_ros.training.stages import TOKENS
from uois_sam_ros.training.tokens import TokenSet

PERCENTS = (1, 10, 100)
SHUFFLED = "shuffled IoU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=Path, help="run folder with iou.pth and tokens.pth")
    parser.add_argument("--views", type=int, default=1250, help="a fifth of them judges (%(default)s)")
    parser.add_argument("--epochs", type=int, default=9, help="(%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write all figures here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clicks = read_clicks(args.run, args.views)
    first = args.views - args.views // 5
    train, test = clicks.subset(clicks.frame < first), clicks.subset(clicks.frame >= first)
    picked = {name: chosen_iou(test, score) for name, score in
              (("decoder's score", test.iou_predictions), ("oracle", test.target))}
    for name in (*map(str, PERCENTS), SHUFFLED):
        runs = [chosen_iou(test, scores(train_one(train, name, seed, args.epochs), test)) for seed in range(args.seeds)]
        picked[f"HDNet, {name}" + (" %" if name.isdigit() else "")] = np.mean(runs, axis=0)
        print(f"trained {name}", flush=True)
    rows = summarise(picked)
    counts = {"train_clicks": len(train), "test_clicks": int(test.on_object.sum()), "views": len(picked["oracle"])}
    print(f"\n{counts['train_clicks']} clicks to train on; {counts['test_clicks']} on objects in {counts['views']} "
          "other views\n")
    print(format_table(("the mask ranked first by", "mean IoU", "against the decoder's score [95 %]", "gap closed"),
                       [[row["score"], f"{row['iou']:.1f}", interval(row["gain"]), f"{100 * row['gap_closed']:.0f} %"]
                        for row in rows]))
    if args.json:
        write_json(args.json, {"command": shlex.join(["python", "benchmarks/chain_choice.py", *sys.argv[1:]]),
                               "machine": describe(), "epochs": args.epochs, "seeds": args.seeds, **counts,
                               "rows": rows})


def summarise(picked: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return mean IoU in percent, the gain on the decoder's score, and the share of the gap to the oracle."""
    before = picked["decoder's score"]
    gap = picked["oracle"].mean() - before.mean()
    return [{"score": name, "iou": float(iou.mean()), "gain": asdict(paired_difference(before, iou)),
             "gap_closed": float((iou.mean() - before.mean()) / gap)} for name, iou in picked.items()]


@torch.no_grad()
def read_clicks(run: Path, views: int) -> Clicks:
    """Return the decoded clicks of the first views as HDNet reads them."""
    model = CompactModel().eval()
    model.load_state_dict(load_checkpoint(run / "iou.pth")["model"])
    tokens = TokenSet(**torch.load(run / TOKENS, weights_only=True, mmap=True))
    tokens = tokens.subset(tokens.view < views)
    iou, mask_tokens, iou_token = model.decoder.score(tokens.tokens[None], tokens.pooled[None])
    return Clicks(mask_tokens[0], iou_token[0], iou[0], tokens.iou_object, tokens.on_object, tokens.view)


def train_one(train: Clicks, name: str, seed: int, epochs: int) -> HDNet:
    """Train on a share of the views, or on shuffled targets; a fifth of them validates."""
    order = torch.randperm(int(train.frame.max()) + 1, generator=torch.Generator().manual_seed(seed))
    share = order[:max(2, len(order) * (int(name) if name.isdigit() else 100) // 100)]
    held = share[:max(1, len(share) // 5)]
    fitted, valid = (train.subset(torch.isin(train.frame, part)) for part in (share[len(held):], held))
    if name == SHUFFLED:
        fitted, valid = mixed_targets(fitted, seed), mixed_targets(valid, seed)
    torch.manual_seed(seed)
    network = HDNet(train.mask_tokens.shape[-1])
    with tempfile.TemporaryDirectory() as folder:
        fit(HdnetTask(network, fitted, valid, name),
            FitConfig(epochs=epochs, drop_every=max(1, epochs // 3), batch=30, seed=seed, save_minutes=60), Ranks(),
            Path(folder) / "hdnet.state", title=f"HDNet {name} seed {seed}")
    return network


if __name__ == "__main__":
    main()
