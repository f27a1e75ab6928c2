"""Block scenes as synthetic shards, for tests that need training data in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uois_sam_ros.datasets.shards import ShardWriter, SyntheticFrame

SIZE = (120, 160)


def block_frame(seed: int, objects: int = 5) -> SyntheticFrame:
    """A tilted table with coloured blocks 10 cm above it; every block has two parts."""
    rng = np.random.default_rng(seed)
    label, part = np.zeros(SIZE, np.uint16), np.zeros(SIZE, np.uint16)
    depth = np.broadcast_to(1.1 - 0.002 * np.arange(SIZE[0], dtype=np.float32)[:, None], SIZE).copy()
    color = np.broadcast_to(rng.integers(60, 200, 3), (*SIZE, 3)).astype(np.uint8).copy()
    facts = []
    for number in range(1, objects + 1):
        top, left = int(rng.integers(4, SIZE[0] - 34)), int(rng.integers(4, SIZE[1] - 44))
        box = (slice(top, top + 30), slice(left, left + 40))
        label[box], part[box] = number, 2 * number - 1
        part[top:top + 12, left:left + 40] = 2 * number
        color[box], depth[box] = rng.integers(0, 255, 3), depth[top, left] - 0.1
        facts.append({"id": number, "family": "box", "group": 0 if number <= 2 else -1,
                      "parts": [2 * number - 1, 2 * number], "material": "matte"})
    seen = set(np.unique(label)) - {0}
    facts = [fact for fact in facts if fact["id"] in seen]
    amodal = np.stack([label == fact["id"] for fact in facts])
    return SyntheticFrame(color, depth, label, part, np.float32([150, 150, 79.5, 59.5]), amodal,
                          {"objects": facts, "layout": "blocks", "sensor": "clean", "renderer": "none"})


def write_block_shards(folder: Path, shards: int = 2, frames: int = 6, first: int = 0) -> Path:
    """Write a folder of shards that ``ShardReader`` opens; ``first`` numbers the first frame."""
    writer = ShardWriter(folder)
    for shard in range(shards):
        writer.write(f"shard_{shard:05d}.npz", [block_frame(first + 100 * shard + k) for k in range(frames)])
    return folder
