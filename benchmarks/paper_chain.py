"""Prove the paper's chain where its weights and data cannot be had: stand-ins, features, heads, ladder, controls.

    uois-sam synth --out data/train --scenes 400 --seed 1
    uois-sam synth --out data/test --scenes 24 --seed 77 --views 2
    python benchmarks/paper_chain.py --train data/train --test data/test --out runs/chain --json chain.json

The stand-ins for SAM and DINOv2 are trained first, or taken from --weights. Then HPG and HDNet on 1, 10 and 100 % of
the frames, with three seeds; the ladder on test frames; HDNet's choice among the four masks against the decoder's own
score and the best one; and two controls, for which training must not help: HDNet on shuffled IoU targets, HPG on
shuffled labels. Gains are paired over test frames (each frame's mean over the seeds), with 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chain_report import print_report, summarise
from chain_runs import Heads, Runner, load_networks

from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.machine import describe
from uois_sam_ros.replay.ladder import run_rungs
from uois_sam_ros.replay.metrics import FrameScores, score_frame
from uois_sam_ros.replay.output import write_json
from uois_sam_ros.replay.sources import Sample, open_input
from uois_sam_ros.replay.stage_metrics import score_selection
from uois_sam_ros.training.backbones import Chain, chain_of
from uois_sam_ros.training.standins import StandinConfig, train_standins


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        frames, test_frames: to train and validate heads on; to score.
        epochs: of both heads; the rate falls by ten every third of them, as in the paper's 30.
        standin_views: what the stand-ins see.
        grid_side: of the first rung; SAM's own is 32, whose prompts would take a minute a frame on one core.
    """

    frames: int = 240
    test_frames: int = 32
    epochs: int = 12
    seeds: int = 3
    percents: tuple[int, ...] = (1, 10, 100)
    standin_views: int = 5000
    grid_side: int = 12


QUICK = Plan(frames=10, test_frames=3, epochs=2, seeds=2, percents=(50, 100), standin_views=8, grid_side=4)
#: Depth's terms, one rung each; the weight of foreground in a score is no such term.
DEPTH = {"prompting": {"depth_prior": 1.0}, "rescoring": {"depth_weight": 0.5},
         "selection": {"plane_veto": True, "min_size_m": 0.004, "max_size_m": 0.8}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="folder of shards")
    parser.add_argument("--test", required=True, help="folder of shards of other scenes")
    parser.add_argument("--out", required=True, type=Path, help="folder for weights, caches and training states")
    parser.add_argument("--weights", type=Path, help="folder with sam_tiny.pth and dinov2_tiny.pth; else trained")
    parser.add_argument("--preset", default="shared-tiny", choices=("shared-tiny", "paper-tiny"))
    parser.add_argument("--score-threshold", type=float, default=0.3,
                        help="the paper's 0.48 is for SAM's masks; the stand-in's are worse (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few views and frames: does everything run?")
    parser.add_argument("--json", type=Path, help="write all figures here")
    args = parser.parse_args()
    plan = QUICK if args.quick else Plan()
    torch.set_num_threads(1)
    chain = chain_of(args.preset)
    weights = args.weights or make_standins(args, plan, chain.prompts_from.startswith("dinov2_"))
    runner = Runner(args.train, args.out, weights, chain, plan.frames, plan.epochs)
    heads = train_heads(runner, plan)
    config = update(preset(args.preset), {"selection": {"score_threshold": args.score_threshold},
                                          "prompting": {"grid_side": plan.grid_side},
                                          "runtime": {"backend": "torch", "threads": 1}})
    samples = [sample for sample in open_input(args.test) if sample.truth is not None]
    picked = np.linspace(0, len(samples) - 1, min(plan.test_frames, len(samples))).round().astype(int)
    frames = [score_one(samples[index], config, heads, weights, chain) for index in picked]
    result = {"command": shlex.join(["python", "benchmarks/paper_chain.py", *sys.argv[1:]]), "machine": describe(),
              "preset": args.preset, "plan": asdict(plan), "counts": {"train": len(runner.train), "test": len(frames),
                                                                      "validation": len(runner.valid)},
              **summarise(frames, plan.percents, {name: pair.quality for name, pair in heads.items()}),
              "frames": frames}
    print_report(result)
    if args.json:
        write_json(args.json, result)


def make_standins(args: argparse.Namespace, plan: Plan, dinov2: bool) -> Path:
    """Train the stand-ins into the run folder, or go on with it."""
    out = args.out / "standins"
    out.mkdir(parents=True, exist_ok=True)
    train_standins(StandinConfig(args.train, str(out), plan.standin_views), dinov2=dinov2)
    return out


def train_heads(runner: Runner, plan: Plan) -> dict[str, Heads]:
    """Train every pair of heads, named "<percent>/<seed>" or "<control>/<seed>"."""
    seeds = range(plan.seeds)
    heads = {f"{percent}/{seed}": runner.heads(percent, seed) for seed in seeds for percent in plan.percents}
    for seed in seeds:
        whole = heads[f"{max(plan.percents)}/{seed}"]
        heads[f"shuffled iou/{seed}"] = replace(whole, **runner.hdnet(100, seed, shuffled=True))
        heads[f"shuffled labels/{seed}"] = replace(whole, hpg=runner.hpg(100, seed, shuffled=True))
    return heads


def score_one(sample: Sample, config: SegmenterConfig, heads: dict[str, Heads], weights: Path,
              chain: Chain) -> dict[str, Any]:
    """Score one frame with every pair of heads, and on every rung with those that saw all frames."""
    make = load_networks(weights, chain)
    rows: dict[str, Any] = {"name": sample.name, "source": sample.source, "heads": {}, "rungs": {}}
    whole = max(int(name.partition("/")[0]) for name in heads if name[0].isdigit())
    for name, pair in heads.items():
        segmenter = make(config, pair)
        stages = segmenter.stages(sample.frame)
        chosen = score_selection(stages.mask_set, stages.features.grid, sample.truth)
        rows["heads"][name] = {**_scores(score_frame(stages.instances.label, sample.truth)),
                               "choice": asdict(chosen) if chosen else None}
        if name.startswith(f"{whole}/"):
            ladder = run_rungs(update(config, DEPTH), [sample], progress=False,
                               make_segmenter=lambda rung, pair=pair: make(rung, pair))
            (frame,) = ladder.frames
            rows["rungs"][name.partition("/")[2]] = {
                rung: {**_scores(scores), **({"prompts": asdict(frame.prompts[rung])} if rung in frame.prompts else {})}
                for rung, scores in frame.scores.items()}
    return rows


def _scores(scores: FrameScores) -> dict[str, float]:
    return {"f": 100 * scores.overlap_f, "bf": 100 * scores.boundary_f, "p75": 100 * scores.detected_75}


if __name__ == "__main__":
    main()
