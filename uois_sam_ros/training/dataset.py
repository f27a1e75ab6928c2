"""Shards -> an endless stream of training samples.

Frames are drawn from a small buffer of shards, so disk reads are sequential and every frame is seen
once a pass. Shards that appear while training runs join at the next pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from ..encoding.transform import rgbd_input
from ..geometry import compute_geometry
from ..datasets.shards import ShardReader, SyntheticFrame
from ..types import Geometry, Intrinsics
from .augment import AugmentConfig, View, augment
from .targets import (MIN_PIXELS, ObjectInfo, boundary_cells, foreground_target, group_map,
                      heat_target, sample_prompts)

#: Shards a worker mixes at a time.
BUFFER_SHARDS = 6


@dataclass(frozen=True)
class SampleConfig:
    """Shape of one training sample.

    Attributes:
        sizes: working sizes (h, w), one drawn a batch; multiples of 16.
        prompts: clicks a view; background_share of them miss all objects.
    """

    sizes: tuple[tuple[int, int], ...] = ((240, 320),)
    batch: int = 8
    prompts: int = 16
    background_share: float = 0.06
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0


class TrainingStream(IterableDataset):
    """Endless batches as dictionaries of tensors (first dimension B).

    Keys: image float32[B, 13, h, w]; maps int16[B, 3, h, w] (object, part, group); heat and
    foreground float32[B, 1, h/2, w/2]; boundary uint8[B, h/4, w/4]; points float32[B, P, 2];
    wanted int32[B, P, 3]; boxes int32[B, P, 4].

    Args:
        start: views seen before; another number gives other views.
        rank, world: of the processes that share the frames; each draws from shards of its own.
    """

    def __init__(self, folder: str, config: SampleConfig, start: int = 0, *, rank: int = 0, world: int = 1) -> None:
        self.folder, self.config, self.start = folder, config, start
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        worker, workers = self.rank * workers + worker, self.world * workers
        config = self.config
        rng = np.random.default_rng((config.seed, self.start, worker))
        frames = frame_stream(self.folder, rng, worker, workers)
        while True:
            size = config.sizes[int(rng.integers(len(config.sizes)))]
            batch = []
            while len(batch) < config.batch:
                sample = make_sample(next(frames), size, config, rng)
                if sample is not None:
                    batch.append(sample)
            yield {key: torch.from_numpy(np.stack([s[key] for s in batch])) for key in batch[0]}


def frame_stream(folder: str, rng: np.random.Generator, worker: int = 0,
                 workers: int = 1) -> Iterator[SyntheticFrame]:
    """Yield frames for ever, in random order, every frame of this worker's shards once a pass."""
    while True:
        reader = ShardReader(folder, cache=BUFFER_SHARDS)
        starts = reader.shard_starts
        mine = rng.permutation(np.arange(len(starts) - 1)[worker::workers] if len(starts) > workers
                               else np.arange(len(starts) - 1))
        for first in range(0, len(mine), BUFFER_SHARDS):
            indices = np.concatenate([np.arange(starts[s], starts[s + 1])
                                      for s in mine[first:first + BUFFER_SHARDS]])
            for index in rng.permutation(indices):
                yield reader.frame(int(index))


def make_sample(frame: SyntheticFrame, size: tuple[int, int], config: SampleConfig,
                rng: np.random.Generator) -> dict[str, np.ndarray] | None:
    """Augment a frame and build its targets; ``None`` when the crop shows nothing to learn from."""
    view = View(frame.color, frame.depth_m, frame.label, frame.part,
                Intrinsics(*(float(v) for v in frame.intrinsics)))
    view = augment(view, size, config.augment, rng)
    label = view.label
    counts = np.bincount(label.ravel())
    ids = np.nonzero(counts >= MIN_PIXELS)[0]
    ids = ids[ids > 0]
    if len(ids) == 0 and rng.random() < 0.8:
        return None
    objects = [ObjectInfo(o["id"], o["group"], tuple(o["parts"])) for o in frame.meta["objects"]]
    groups = group_map(label, objects)
    prompts = sample_prompts(label, view.part, groups, ids, config.prompts,
                             config.background_share, rng)
    return {
        "image": network_input(view, config.augment, rng),
        "maps": np.stack([label, view.part, groups]).astype(np.int16),
        "heat": heat_target(label, ids)[None],
        "foreground": foreground_target(label)[None],
        "boundary": boundary_cells(view.part, label),
        "points": prompts.points,
        "wanted": prompts.wanted,
        "boxes": prompts.boxes,
    }


def network_input(view: View, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Network input of a view with modality dropout, float32[13, h, w]."""
    kind = rng.random()
    without_depth = kind < config.no_depth
    without_color = not without_depth and kind < config.no_depth + config.no_color
    geometry = None
    if not without_depth:
        geometry = compute_geometry(view.depth_m, view.intrinsics, seed=int(rng.integers(1 << 30)))
    if geometry is not None and rng.random() < config.no_plane:
        geometry = Geometry(geometry.points_m, geometry.valid, geometry.normals,
                            np.zeros_like(geometry.height_m), None)
    image = rgbd_input(view.color, geometry)
    if without_color:
        image[:3] = 0
    return image
