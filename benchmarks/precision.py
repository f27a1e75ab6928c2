"""May the int8 models stand in for the fp32 ones? Accuracy on given inputs and speed, both in turns in one run.

    uois-sam engines export --precision int8 --out models_int8 --calibrate data/train --frames 32 --threads 1
    python benchmarks/precision.py data/test_ray data/val --models models_int8 --json precision.json

Every frame is segmented with the fp32 models and with those of --models, in changing order. For each input: F and
boundary F of both, the paired difference with its 95 % bootstrap interval, and the median ratio of the encoder's CPU
time. The verdict is "within 0.5 F" when no input loses more than that; the exit code says it, too (0, else 1).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import thread_time

import numpy as np

from uois_sam_ros.config import preset, update
from uois_sam_ros.machine import describe
from uois_sam_ros.pipeline import Segmenter
from uois_sam_ros.replay.bootstrap import paired_difference
from uois_sam_ros.replay.evaluate import score_sample
from uois_sam_ros.replay.sources import InputOptions, open_input
from uois_sam_ros.runtime.factory import load_model

#: Largest loss of mean F, in percent, at which a variant is offered.
ALLOWED = 0.5


class CpuTimed:
    """A model that notes the CPU milliseconds of its last run; exact with one thread, whatever else the machine does."""

    def __init__(self, model) -> None:
        self.spec, self.metadata, self._model, self.cpu_ms = model.spec, model.metadata, model, 0.0

    def run(self, inputs):
        begin = thread_time()
        outputs = self._model.run(inputs)
        self.cpu_ms = 1000 * (thread_time() - begin)
        return outputs


def timed_segmenter(name: str, folder: str) -> tuple[Segmenter, CpuTimed]:
    """Return a segmenter on one thread and its encoder."""
    config = update(preset(name), {"runtime": {"threads": 1, "model_dir": folder}})
    encoder = config.encoding.encoders[0]
    timed = CpuTimed(load_model(encoder, config.runtime))
    return Segmenter(config, {encoder: timed}), timed


def compare(path: str, sides: list[tuple[Segmenter, CpuTimed]]) -> dict:
    """Segment and score every labelled frame of an input with both sides, in turns."""
    scores, cpu_ms = ([], []), ([], [])
    for turn, sample in enumerate(open_input(path, InputOptions())):
        if sample.frame is None or sample.truth is None:
            continue
        for side in (0, 1) if turn % 2 else (1, 0):
            segmenter, encoder = sides[side]
            scores[side].append(score_sample(sample, segmenter.segment(sample.frame)).scores)
            cpu_ms[side].append(encoder.cpu_ms)
    result: dict = {"input": Path(path).name, "frames": len(scores[0])}
    for name in ("overlap_f", "boundary_f"):
        before, after = ([100 * getattr(score, name) for score in side] for side in scores)
        gain = paired_difference(before, after)
        result[name] = {"fp32": float(np.mean(before)), "int8": float(np.mean(after)),
                        "gain": gain.mean, "low": gain.low, "high": gain.high}
    result["encoder_cpu_ms"] = {"fp32": float(np.median(cpu_ms[0])), "int8": float(np.median(cpu_ms[1])),
                                "ratio": float(np.median(np.divide(*cpu_ms)))}
    return result


def format_row(row: dict) -> str:
    """Return one input's line."""
    f, b, t = row["overlap_f"], row["boundary_f"], row["encoder_cpu_ms"]
    return (f"{row['input']:14} {row['frames']:4}  F {f['fp32']:5.1f} {f['int8']:5.1f} {f['gain']:+5.2f} "
            f"[{f['low']:+.2f}, {f['high']:+.2f}]  bF {b['fp32']:5.1f} {b['int8']:5.1f} {b['gain']:+5.2f} "
            f"[{b['low']:+.2f}, {b['high']:+.2f}]  encoder {t['fp32']:.1f} {t['int8']:.1f} ms CPU, {t['ratio']:.2f} x")


def main() -> int:
    """Compare, print and write; 0 when within what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="labelled inputs, as of uois-sam eval")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the other models")
    parser.add_argument("--against", default="", metavar="DIR", help="folder of the fp32 models (default: shipped)")
    parser.add_argument("--preset", default="compact", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    sides = [timed_segmenter(args.preset, folder) for folder in (args.against, args.models)]
    rows = []
    for path in args.inputs:
        rows.append(compare(path, sides))
        print(format_row(rows[-1]), flush=True)
    within = all(row["overlap_f"]["gain"] >= -ALLOWED for row in rows)
    print(f"within {ALLOWED} F on every input: {'yes' if within else 'no'}")
    if args.json:
        args.json.write_text(json.dumps({"command": " ".join(sys.argv), "within": within, "rows": rows,
                                         "machine": describe()}, indent=2) + "\n")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
