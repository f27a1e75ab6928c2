"""Generated shards; the source of a frame is its scene's layout (pile, tower, ...)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..replay.sources import InputOptions, Sample
from ..types import Frame, Intrinsics
from .base import Dataset
from .info import DatasetInfo
from .shards import ShardReader

_TAGS = ("renderer", "sensor", "seed", "view")


class Synthetic(Dataset):
    """Frames of a shard folder in their stored order."""

    info = DatasetInfo(
        name="synthetic", title="generated shards", layout="shard_*.npz with manifest.json",
        follows="uois-sam synth, which writes them",
        truth="label 0 is background", camera="any size; intrinsics and depth in metres of every frame",
        verified="written and read by this package")

    def __init__(self, root: str | Path, words: Sequence[str] = (), options: InputOptions = InputOptions()) -> None:
        super().__init__(root, words, options)
        self._reader = ShardReader(self.root)

    def __len__(self) -> int:
        return len(self._reader)

    def where(self, index: int) -> tuple[str, str]:
        return "shards", f"{index:06d}"

    def read(self, index: int) -> Sample:
        stored = self._reader.frame(index)
        _, name = self.where(index)
        intrinsics = self.options.intrinsics or Intrinsics(*(float(value) for value in stored.intrinsics))
        frame = Frame(stored.color, stored.depth_m if self.options.read_depth else None, intrinsics, name)
        tags = {key: str(stored.meta[key]) for key in _TAGS if key in stored.meta}
        return Sample(str(stored.meta.get("layout", "synthetic")), name, frame, stored.label, tags=tags)
