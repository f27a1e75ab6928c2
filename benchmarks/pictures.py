"""Make the pictures of the README and the model card from generated scenes.

    python benchmarks/pictures.py overview INPUT docs/overview.png
    python benchmarks/pictures.py failures INPUT docs/failures.png --count 6

``overview`` shows colour, depth and result of frames spread over the input; ``failures`` shows the
labelled frames with the lowest overlap F: colour, truth, result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from uois_sam_ros import Segmenter
from uois_sam_ros.overlay import draw_overlay
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.sources import open_input
from uois_sam_ros.synthetic.preview import colour_depth, colour_labels

TILE = (320, 240)


def overview(segmenter: Segmenter, path: str, count: int) -> list[list[np.ndarray]]:
    """Rows of colour, depth and overlay."""
    samples = [sample for sample in open_input(path) if sample.frame is not None]
    chosen = [samples[i] for i in np.linspace(0, len(samples) - 1, 2 * count + 1).astype(int)[1::2]]
    return [[s.frame.color, colour_depth(s.frame.depth_m), draw_overlay(s.frame.color, segmenter.segment(s.frame))]
            for s in chosen]


def failures(segmenter: Segmenter, path: str, count: int) -> list[list[np.ndarray]]:
    """Rows of colour, truth and overlay, worst first; at most one of two views of one scene."""
    rows = []
    for sample in open_input(path):
        if sample.frame is None or sample.truth is None:
            continue
        result = segmenter.segment(sample.frame)
        scores = score_frame(result.label, sample.truth, sample.ignore)
        rows.append((scores.overlap_f, sample.source, sample.frame.color, sample.truth, result))
    worst: dict[str, list[np.ndarray]] = {}
    for f, source, color, truth, result in sorted(rows, key=lambda row: row[0]):
        if source in worst or len(worst) == count:
            continue
        picture = cv2.putText(color.copy(), f"{source}  F {100 * f:.0f}", (8, 24), cv2.FONT_HERSHEY_SIMPLEX,
                              color.shape[0] / 480 * 0.8, (255, 255, 255), 2, cv2.LINE_AA)
        worst[source] = [picture, colour_labels(truth, color), draw_overlay(color, result)]
    return list(worst.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overview", "failures"))
    parser.add_argument("input")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=3, help="rows (%(default)s)")
    args = parser.parse_args()
    rows = globals()[args.what](Segmenter.from_preset("compact"), args.input, args.count)
    tiles = [np.hstack([cv2.resize(tile, TILE, interpolation=cv2.INTER_AREA) for tile in row]) for row in rows]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), np.vstack(tiles)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
