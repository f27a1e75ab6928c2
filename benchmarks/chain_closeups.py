"""Close-ups for ``paper_chain.py``: windows of generated frames, whose objects are larger than the stand-in's patches.

The stand-in has 32 patches across a picture, and in a whole generated frame half of the objects are narrower than two
of them. SAM has 64 on pictures in which objects are larger.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from uois_sam_ros.datasets.shards import ShardReader, ShardWriter, SyntheticFrame
from uois_sam_ros.training.fit import mix

SHARD_FRAMES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of shards")
    parser.add_argument("--out", required=True, help="folder for the windows' shards")
    parser.add_argument("--frames", type=int, default=3200, help="at most so many, spread evenly (%(default)s)")
    parser.add_argument("--zoom", type=float, default=2.0, help="of a window (%(default)s)")
    args = parser.parse_args()
    reader, writer = ShardReader(args.data), ShardWriter(args.out)
    chosen = np.linspace(0, len(reader) - 1, min(args.frames, len(reader))).round().astype(int)
    for number, first in enumerate(tqdm(range(0, len(chosen), SHARD_FRAMES), unit="shard")):
        writer.write(f"shard_{number:05d}.npz", [close_up(reader.frame(int(index)), args.zoom, int(index))
                                                 for index in chosen[first:first + SHARD_FRAMES]])


def close_up(frame: SyntheticFrame, zoom: float, seed: int) -> SyntheticFrame:
    """Return the window round a random object, 1 / ``zoom`` of the frame's sides; objects may be cut by its border."""
    rows, cols = frame.label.shape
    height, width = round(rows / zoom), round(cols / zoom)
    rng = np.random.default_rng(mix(seed))
    ids = np.unique(frame.label[frame.label > 0])
    y, x = (rows / 2, cols / 2) if len(ids) == 0 else np.argwhere(frame.label == rng.choice(ids)).mean(0)
    top, left = int(np.clip(y - height / 2, 0, rows - height)), int(np.clip(x - width / 2, 0, cols - width))
    cut = (slice(top, top + height), slice(left, left + width))
    return replace(frame, color=frame.color[cut], depth_m=frame.depth_m[cut], label=frame.label[cut],
                   part=frame.part[cut], amodal=frame.amodal[:, cut[0], cut[1]],
                   intrinsics=frame.intrinsics - np.float32([0, 0, left, top]))


if __name__ == "__main__":
    main()
