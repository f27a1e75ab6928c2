"""What it saves and changes when SAM does not compute the empty rest of its square: ``-4x3`` against padded networks.

    python benchmarks/sam_padding.py INPUT --variant tiny --sam runs/standins/sam_tiny.pth --json sam_padding.json
    python benchmarks/sam_padding.py INPUT --variant vit_b --frames 2

INPUT holds labelled frames of 4:3 or wider. Both networks see the same frames and are clicked where each object is
deepest inside; of every click the mask counts that the padded SAM scores best. Without ``--sam`` the weights are fresh:
then only the errors of embeddings and the times say something.
"""

from __future__ import annotations

import argparse
import copy
import shlex
import sys
from pathlib import Path
from time import thread_time

import cv2
import numpy as np
import torch
from tqdm import tqdm

from uois_sam_ros.config import preset
from uois_sam_ros.encoding.kinds import INPUT_KINDS
from uois_sam_ros.encoding.transform import working_grid
from uois_sam_ros.machine import describe
from uois_sam_ros.models.sam import SamPromptDecoder, build_sam, cut, load_sam
from uois_sam_ros.replay.output import write_json
from uois_sam_ros.replay.sources import open_input

PRESETS = {"tiny": "paper-tiny", "vit_b": "paper-b", "vit_l": "paper", "vit_h": "paper-h"}


@torch.inference_mode()
def compare(path: str, variant: str, weights: Path | None, count: int) -> dict[str, float]:
    """Return errors, mask IoU and CPU seconds, means over frames or clicks."""
    torch.manual_seed(0)
    padded = (load_sam(weights, variant) if weights else build_sam(variant)).eval()
    part = cut(copy.deepcopy(padded), f"{variant}_4x3")
    encoding = preset(PRESETS[variant]).encoding
    samples = [sample for sample in open_input(path) if sample.frame is not None and sample.truth is not None]
    errors, ious, scores, seconds = [], [], [], []
    for index in tqdm(np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int))):
        frame, truth = samples[index].frame, samples[index].truth
        grid = working_grid((frame.height, frame.width), encoding)
        whole, whole_s = _encode(padded, INPUT_KINDS["sam"].build(frame, grid, frame.color, None))
        upper, upper_s = _encode(part, INPUT_KINDS["sam_4x3"].build(frame, grid, frame.color, None))
        seconds.append((whole_s, upper_s))
        same = whole[:, :, :upper.shape[2]]
        errors.append(float((same - upper).norm() / same.norm()))
        points = torch.from_numpy(grid.to_working(_clicks(truth)))
        masks, iou, *_ = SamPromptDecoder(padded)(whole, points)
        masks_cut, iou_cut, *_ = SamPromptDecoder(part)(upper, points)
        rows, cols = grid.padded_hw
        best = torch.arange(len(points)), iou.argmax(1)
        one, other = ((logits[..., :rows, :cols] > 0)[best] for logits in (masks, masks_cut))
        ious += ((one & other).sum((1, 2)) / (one | other).sum((1, 2)).clamp(min=1)).tolist()
        scores += (iou - iou_cut).abs().flatten().tolist()
    whole_s, upper_s = np.median(seconds, axis=0)
    return {"frames": len(errors), "clicks": len(ious), "embedding_error": float(np.mean(errors)),
            "mask_iou": float(np.mean(ious)), "mask_iou_median": float(np.median(ious)),
            "mask_iou_p10": float(np.percentile(ious, 10)), "score_difference": float(np.mean(scores)),
            "padded_s": float(whole_s), "cut_s": float(upper_s), "speed_ratio": float(whole_s / upper_s)}


def _encode(sam: torch.nn.Module, image: np.ndarray) -> tuple[torch.Tensor, float]:
    begin = thread_time()
    return sam.image_encoder(torch.from_numpy(image)), thread_time() - begin


def _clicks(truth: np.ndarray) -> np.ndarray:
    """Return float32[N, 2], (x, y) native pixels, each deepest inside its object."""
    depth = [cv2.distanceTransform((truth == index).astype(np.uint8), cv2.DIST_L2, 5)
             for index in np.unique(truth) if index]
    return np.float32([np.unravel_index(d.argmax(), d.shape)[::-1] for d in depth])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("--variant", choices=PRESETS, default="vit_b", help="(%(default)s)")
    parser.add_argument("--sam", type=Path, help="its checkpoint; else fresh weights")
    parser.add_argument("--frames", type=int, default=10, help="spread over the input (%(default)s)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    figures = compare(args.input, args.variant, args.sam, args.frames)
    for name, value in figures.items():
        print(f"{name:18s} {value:.4g}")
    if args.json:
        write_json(args.json, {"command": shlex.join(["python", "benchmarks/sam_padding.py", *sys.argv[1:]]),
                               "machine": describe(), "weights": "given" if args.sam else "fresh", **figures})


if __name__ == "__main__":
    main()
