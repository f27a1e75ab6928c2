"""Tune the depth terms on the networks of ``paper_chain.py``: each alone at several strengths, on frames of its own.

    uois-sam synth --out data/tune --scenes 12 --seed 55 --views 2
    python benchmarks/chain_depth.py --train data/train --out runs/chain --data data/tune --json depth.json

Everything but the depth terms is as in the report's HDNet rung; gains are paired over frames (mean over the seeds).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chain_report import interval
from chain_runs import Runner, load_networks
from paper_chain import Plan, chain_config, halfway_of

from uois_sam_ros.config import update
from uois_sam_ros.machine import describe
from uois_sam_ros.replay.bootstrap import paired_difference
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.output import write_json
from uois_sam_ros.replay.report import format_table
from uois_sam_ros.replay.sources import Sample, open_input
from uois_sam_ros.training.backbones import chain_of

STRENGTHS = {"depth_prior": ("prompting", (0.25, 0.5, 1.0, 2.0)), "depth_weight": ("rescoring", (0.25, 0.5, 1.0, 2.0)),
             "foreground_weight": ("rescoring", (0.25, 0.5, 1.0))}
SIZES = {"min_size_m": 0.004, "max_size_m": 0.8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="as for paper_chain.py")
    parser.add_argument("--out", required=True, type=Path, help="its run folder")
    parser.add_argument("--weights", type=Path, help="as there; default: standins in the run folder")
    parser.add_argument("--preset", default="shared-tiny", choices=("shared-tiny", "paper-tiny"))
    parser.add_argument("--score-threshold", type=float, help="as there")
    parser.add_argument("--data", required=True, help="shards of scenes that neither train nor test")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    plan, chain = Plan(), chain_of(args.preset)
    weights = args.weights or args.out / "standins"
    runner = Runner(args.train, args.out, weights, chain, plan.frames, plan.epochs, plan.most_epochs)
    heads = [runner.heads(100, seed) for seed in range(plan.seeds)]
    threshold = args.score_threshold or halfway_of(heads)
    config = chain_config(args.preset, threshold, plan.grid_side)
    samples = [sample for sample in open_input(args.data) if sample.truth is not None]
    order = np.random.default_rng(0).permutation(len(samples))[:args.frames]
    names, table = [name for name, _ in candidates()], []
    for index in order:
        make = load_networks(weights, chain)
        table.append([np.mean([score(samples[index], make(update(config, change), pair)) for pair in heads])
                      for _, change in candidates()])
        print(f"scored {len(table)}/{len(order)} frames", flush=True)
    f = np.array(table)
    rows = [{"term": name, "f": float(f[:, k].mean()), "gain": asdict(paired_difference(f[:, 0], f[:, k]))}
            for k, name in enumerate(names)]
    print(format_table(("term", "F", "against none [95 %]"),
                       [[row["term"], f"{row['f']:.1f}", interval(row["gain"])] for row in rows]))
    if args.json:
        write_json(args.json, {"command": shlex.join(["python", "benchmarks/chain_depth.py", *sys.argv[1:]]),
                               "machine": describe(), "score_threshold": threshold, "frames": len(f),
                               "seeds": plan.seeds, "terms": rows})


def candidates() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the settings of every candidate; the first has no term."""
    yield "none", {}
    for name, (stage, values) in STRENGTHS.items():
        for value in values:
            yield f"{name} {value:g}", {stage: {name: value}}
    yield "plane_veto", {"selection": {"plane_veto": True}}
    yield "metric size", {"selection": SIZES}


def score(sample: Sample, segmenter: Any) -> float:
    """Return overlap F in percent."""
    return 100 * score_frame(segmenter.segment(sample.frame).label, sample.truth).overlap_f


if __name__ == "__main__":
    main()
