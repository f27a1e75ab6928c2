"""Labelled frames of one's own -> views for the compact model, augmented to train on, as they are to validate with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ..config import EncodingConfig
from ..datasets.shards import SyntheticFrame
from ..encoding.transform import working_grid
from ..replay.sources import InputOptions, Sample
from ..types import Intrinsics
from .augment import AugmentConfig
from .dataset import SampleConfig, make_sample
from .fit import mix
from .frames import LabelledFrames, split_frames
from .prepare import make_item

#: Frames as they are.
AS_IS = AugmentConfig(zoom=1.0, flip=0.0, upside_down=0.0, color=0.0, no_color=0.0, no_depth=0.0, no_plane=0.0,
                      shift=0.0, depth_noise=0.0, depth_holes=0.0, lying_object=0.0)
#: Gentler than in the training from scratch: the camera and the light of the site are known.
GENTLE = AugmentConfig(zoom=1.4, upside_down=0.0, no_color=0.0, no_depth=0.1, no_plane=0.04, lying_object=0.1)
#: Views in all, so that their features fit into memory (about 2 MB each).
MOST_VIEWS = 400


@dataclass(frozen=True)
class OwnFrames:
    """Which frames, and how they are shown.

    Attributes:
        data, val: inputs with labels; without ``val`` the last ``held_out`` of every source validates.
        views: augmented views of a frame; fewer when there would be more than ``MOST_VIEWS`` in all.
        prompts, background_share: clicks a view, and how many of them miss all objects.
        reading: what the inputs do not say themselves.
    """

    data: str
    val: str = ""
    held_out: float = 0.2
    percent: float = 100.0
    views: int = 8
    prompts: int = 20
    background_share: float = 0.4
    seed: int = 0
    reading: InputOptions = InputOptions()


@dataclass(frozen=True)
class OwnViews:
    """Views as ``TrainingStream`` makes them, in batches of one; ``key`` names frames, labels and settings."""

    train: list[dict[str, torch.Tensor]]
    valid: list[dict[str, torch.Tensor]]
    frames: int
    key: str


def own_views(config: OwnFrames) -> OwnViews:
    """Read the frames and show them. Pixels of an ignore mask count as background.

    Raises:
        InputError: fewer than two labelled frames, or none to validate with.
    """
    frames = LabelledFrames(config.data, config.reading)
    held = LabelledFrames(config.val, config.reading) if config.val else frames
    split = split_frames(frames.sources, held_out=0.0 if config.val else config.held_out, percent=config.percent,
                         seed=config.seed)
    train = [sample for _, sample in frames.read(split.train)]
    valid = [sample for _, sample in held.read(range(len(held)) if config.val else split.valid)]
    for samples, source in ((train, frames), (valid, held)):
        if not samples:
            raise source.none_labelled()
    for sentence in dict.fromkeys(frames.left_out.sentences() + held.left_out.sentences()):
        print(f"left out: {sentence}", flush=True)
    size = working_grid((train[0].frame.height, train[0].frame.width), EncodingConfig()).padded_hw
    each = max(1, min(config.views, MOST_VIEWS // len(train)))
    digest = hashlib.sha256(repr(config).encode())
    for sample in (*train, *valid):
        digest.update(make_item(sample).labelled_key.encode())
    print(f"{len(train)} frames to train on, {each} views each, {len(valid)} to validate with", flush=True)
    return OwnViews(_show(train * each, size, GENTLE, config), _show(valid, size, AS_IS, config), len(train),
                    digest.hexdigest())


def _show(samples: Iterable[Sample], size: tuple[int, int], augment: AugmentConfig,
          config: OwnFrames) -> list[dict[str, torch.Tensor]]:
    settings = SampleConfig(sizes=(size,), prompts=config.prompts, background_share=config.background_share,
                            augment=augment)
    views = []
    for number, sample in enumerate(samples):
        rng = np.random.default_rng(mix(config.seed, number))
        shown = make_sample(as_generated(sample), size, settings, rng)
        if shown is not None:
            views.append({key: torch.from_numpy(np.asarray(value))[None] for key, value in shown.items()})
    return views


def as_generated(sample: Sample) -> SyntheticFrame:
    """Return a labelled sample in the form of a generated frame: every object is one part and in no group."""
    frame = sample.frame
    label = sample.truth.astype(np.uint16)
    if sample.ignore is not None:
        label = np.where(sample.ignore, np.uint16(0), label)
    depth = np.zeros(label.shape, np.float32) if frame.depth_m is None else np.nan_to_num(frame.depth_m, posinf=0.0)
    camera = frame.intrinsics or Intrinsics.from_fov(frame.width, frame.height)
    objects = [{"id": int(value), "group": -1, "parts": [int(value)]} for value in np.unique(label) if value]
    return SyntheticFrame(frame.color, depth, label, label, np.float32([camera.fx, camera.fy, camera.cx, camera.cy]),
                          np.zeros((0, *label.shape), bool), {"objects": objects})
