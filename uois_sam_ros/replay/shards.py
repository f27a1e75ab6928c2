"""Synthetic shards as an input; the source of a frame is its scene's layout (pile, tower, ...)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import UoisError
from ..types import Frame, Intrinsics
from .sources import Sample


def is_shard_folder(path: Path) -> bool:
    """True when ``path`` holds synthetic shards, with or without their manifest."""
    if any(path.glob("shard_*.npz")):
        return True
    try:
        return "shards" in json.loads((path / "manifest.json").read_text())
    except (OSError, ValueError, TypeError):
        return False


class ShardInput:
    """Frames of a shard folder in their stored order.

    Raises:
        InputError: the folder or its manifest cannot be read.
    """

    def __init__(self, path: Path) -> None:
        from ..datasets.shards import ShardReader  # numpy only

        self._reader = ShardReader(path)
        self.count: int | None = len(self._reader)

    def __iter__(self) -> Iterator[Sample]:
        for index in range(len(self._reader)):
            name = f"{index:06d}"
            try:
                stored = self._reader.frame(index)
                intrinsics = Intrinsics(*(float(value) for value in stored.intrinsics))
                frame = Frame(stored.color, stored.depth_m, intrinsics, name)
            except (UoisError, OSError) as error:
                yield Sample("shards", name, error=f"frame {index}: {error}")
                continue
            tags = {key: str(stored.meta[key]) for key in ("renderer", "sensor", "seed", "view")
                    if key in stored.meta}
            yield Sample(str(stored.meta.get("layout", "synthetic")), name, frame, stored.label, tags=tags)
