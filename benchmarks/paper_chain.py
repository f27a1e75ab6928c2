"""Prove the paper's chain where its weights and data cannot be had: stand-ins, features, heads, ladder, controls.

    uois-sam synth --out data/train --scenes 400 --seed 1
    uois-sam synth --out data/test --scenes 24 --seed 77 --views 2
    python benchmarks/paper_chain.py --train data/train --test data/test --out runs/chain --json chain.json

The stand-ins for SAM and DINOv2 are trained first, or taken from --weights. Then HPG and HDNet on 1, 10 and 100 % of
the frames, with three seeds; the ladder on test frames; HDNet's choice among the four masks against the decoder's own
score and the best one; and two controls, for which training must not help: HDNet on shuffled IoU targets, HPG on
shuffled labels, to train and to validate with. The score threshold is taken from validation clicks. Gains are paired
over frames (each frame's mean over the seeds), with 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from chain_report import plot_fractions, print_report, summarise
from chain_runs import Heads, Runner, load_networks

from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.machine import describe
from uois_sam_ros.replay.ladder import run_rungs
from uois_sam_ros.replay.metrics import FrameScores, score_frame
from uois_sam_ros.replay.output import write_json
from uois_sam_ros.replay.sources import Sample, open_input
from uois_sam_ros.replay.stage_metrics import score_selection
from uois_sam_ros.training.backbones import Chain, chain_of
from uois_sam_ros.training.checkpoint import load_checkpoint
from uois_sam_ros.training.standins import StandinConfig, train_standins


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        frames, test_frames: to train heads on (a tenth as many validate); to score.
        epochs, most_epochs: of both heads on all frames, and on fewer, which take more epochs for as many steps; the
            rate falls by ten every third of them, as in the paper's 30.
        seeds: of the heads, and of the two controls.
        standin_views: what the stand-ins see.
        grid_side: of the first rung; SAM's own is 32, whose prompts would take a minute a frame on one core.
    """

    frames: int = 400
    test_frames: int = 32
    epochs: int = 6
    most_epochs: int = 30
    seeds: int = 3
    percents: tuple[int, ...] = (1, 10, 100)
    standin_views: int = 2000
    grid_side: int = 10


QUICK = Plan(frames=10, test_frames=3, epochs=2, most_epochs=3, seeds=2, percents=(50, 100), standin_views=8,
             grid_side=4)
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
    parser.add_argument("--score-threshold", type=float,
                        help="the paper's 0.48 is for SAM's masks, the stand-in's are worse (default: halfway between "
                             "HDNet's best scores of validation clicks on objects and off)")
    parser.add_argument("--quick", action="store_true", help="a few views and frames: does everything run?")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--plot", type=Path, help="draw the curve over the share of the data here, a PNG")
    args = parser.parse_args()
    plan = QUICK if args.quick else Plan()
    torch.set_num_threads(1)
    chain = chain_of(args.preset)
    weights = args.weights or make_standins(args, plan, chain.prompts_from.startswith("dinov2_"))
    runner = Runner(args.train, args.out, weights, chain, plan.frames, plan.epochs, plan.most_epochs)
    heads = train_heads(runner, plan)
    threshold = args.score_threshold or halfway_of([heads[f"{max(plan.percents)}/{k}"] for k in range(plan.seeds)])
    config = chain_config(args.preset, threshold, plan.grid_side)
    frames = score_frames(args, plan, config, heads, weights, chain)
    result = {"command": shlex.join(["python", "benchmarks/paper_chain.py", *sys.argv[1:]]), "machine": describe(),
              "preset": args.preset, "plan": asdict(plan), "score_threshold": threshold,
              "standins_saw": standin_views(weights),
              "counts": {"train": len(runner.train), "test": len(frames), "validation": len(runner.valid),
                         "validation_clicks": int(runner.clicks[1].on_object.sum())},
              **summarise(frames, plan.percents, {name: pair.choice for name, pair in heads.items()}),
              "frames": frames}
    print_report(result)
    if args.json:
        write_json(args.json, result)
    if args.plot:
        plot_fractions(result, args.plot)


def standin_views(weights: Path) -> dict[str, float]:
    """Return how many views the steps of the stand-ins' training saw, as far as their states are there."""
    states = (weights / f"{name}.state" for name in ("sam_dense", "sam_prompts", "dinov2_dense"))
    return {path.stem: load_checkpoint(path)["history"][-1]["samples"] for path in states if path.exists()}


def chain_config(name: str, score_threshold: float, grid_side: int) -> SegmenterConfig:
    """Return a preset as it is scored here."""
    return update(preset(name), {"selection": {"score_threshold": score_threshold},
                                 "prompting": {"grid_side": grid_side}, "runtime": {"backend": "torch", "threads": 1}})


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


def halfway_of(heads: Sequence[Heads]) -> float:
    """Return the score threshold that the validation clicks suggest: what all of the heads say in the mean."""
    return round(mean(pair.halfway for pair in heads), 3)


def score_frames(args: argparse.Namespace, plan: Plan, config: SegmenterConfig, heads: dict[str, Heads], weights: Path,
                 chain: Chain) -> list[dict[str, Any]]:
    """Score the test frames in an order of their own; go on where an earlier call was stopped."""
    samples = [sample for sample in open_input(args.test) if sample.truth is not None]
    order = np.random.default_rng(0).permutation(len(samples))[:plan.test_frames]
    path, key = args.out / "frames.json", repr((args.test, args.preset, replace(plan, test_frames=0), config))
    kept = json.loads(path.read_text()) if path.exists() else {}
    frames = kept["frames"][:len(order)] if kept.get("key") == key else []
    for index in order[len(frames):]:
        frames.append(score_one(samples[index], config, heads, weights, chain))
        write_json(path, {"key": key, "frames": frames})
        print(f"scored {len(frames)}/{len(order)} test frames", flush=True)
    return frames


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
                               "prompts": len(stages.prompts), "choice": asdict(chosen) if chosen else None}
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
