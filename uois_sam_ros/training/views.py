"""Colour views of generated scenes for the stand-in backbones: batch k is a function of the seed and k alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..datasets.shards import ShardReader, SyntheticFrame
from ..encoding.kinds import IMAGENET_MEAN, IMAGENET_STD, SAM_MEAN, SAM_STD
from ..models.spec import DINOV2_HW, ModelSpec
from ..types import Intrinsics
from .augment import View, crop_resize, disturb_color, mirrored
from .fit import mix
from .prepare import resize_label
from .targets import MIN_PIXELS, ObjectInfo, group_map, sample_prompts

#: Largest extra zoom. Steps that draw from the same few shards, and how many shards those are.
ZOOM = 1.8
BLOCK_STEPS, BLOCK_SHARDS = 32, 3
#: Cells across the picture in which stand-ins are judged: a quarter of a patch, SAM's own mask grid.
CELLS_HW = (96, 128)


@dataclass(frozen=True)
class ViewConfig:
    """Shape of a batch: views, and clicks on the objects of each. Many small steps teach fastest from scratch."""

    batch: int = 4
    prompts: int = 6
    seed: int = 0


class ViewBatches:
    """Batches for one backbone.

    Args:
        folder: shards of ``uois-sam synth``.
        spec: the encoder whose input is built.

    Raises:
        InputError: no shards there.
    """

    def __init__(self, folder: str, spec: ModelSpec, config: ViewConfig) -> None:
        self._reader, self.spec, self.config = ShardReader(folder, cache=BLOCK_SHARDS), spec, config

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """Return batch ``step``.

        Keys: image float32[B, 3, a, b]; maps int64[B, 3, 96, 128] (object, part, group); points float32[B, P, 2] on
        those cells; wanted int64[B, P, 3], 0 where a level is not there.
        """
        starts = self._reader.shard_starts
        block = np.random.default_rng(mix(self.config.seed, step // BLOCK_STEPS))
        shards = block.choice(len(starts) - 1, min(BLOCK_SHARDS, len(starts) - 1), replace=False)
        rng = np.random.default_rng(mix(self.config.seed, step // BLOCK_STEPS, step))
        rows = []
        for _ in range(self.config.batch):
            shard = shards[rng.integers(len(shards))]
            frame = self._reader.frame(int(rng.integers(starts[shard], starts[shard + 1])))
            rows.append(self._view(frame, rng))
        return {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}

    def _view(self, frame: SyntheticFrame, rng: np.random.Generator) -> dict[str, np.ndarray]:
        sam = self.spec.input_kind == "sam"
        side = int(self.spec.inputs[0].dims[-1])
        size = (side * 3 // 4, side) if sam else DINOV2_HW
        view = View(frame.color, frame.depth_m, frame.label, frame.part,
                    Intrinsics(*(float(value) for value in frame.intrinsics)))
        view = crop_resize(view, size, ZOOM, rng)
        if rng.random() < 0.5:
            view = mirrored(view)
        color = disturb_color(view.color, rng)
        label, part = resize_label(view.label, CELLS_HW), resize_label(view.part, CELLS_HW)
        objects = [ObjectInfo(o["id"], o["group"], tuple(o["parts"])) for o in frame.meta["objects"]]
        groups = group_map(label, objects)
        ids = np.flatnonzero(np.bincount(label.ravel()) >= MIN_PIXELS)
        count = self.config.prompts
        prompts = sample_prompts(label, part, groups, ids[ids > 0], count + 1, 0.0, rng)  # the last one is background
        return {"image": _sam_image(color, side) if sam else _dinov2_image(color), "points": prompts.points[:count],
                "wanted": prompts.wanted[:count].astype(np.int64),
                "maps": np.stack([label, part, groups]).astype(np.int64)}


def _sam_image(color: np.ndarray, side: int) -> np.ndarray:
    image = np.zeros((3, side, side), np.float32)
    image[:, :color.shape[0]] = ((color - SAM_MEAN) / SAM_STD).transpose(2, 0, 1)
    return image


def _dinov2_image(color: np.ndarray) -> np.ndarray:
    return ((color / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
