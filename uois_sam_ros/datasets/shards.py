"""Training frames on disk: shards of uncompressed arrays and a manifest that lists them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

FORMAT_VERSION = 1
#: Stored depth is uint16; metres = value * DEPTH_SCALE, so 16.38 m is the farthest.
DEPTH_SCALE = 0.00025
MANIFEST = "manifest.json"
_KEYS = ("color", "depth", "label", "part", "intrinsics", "amodal_bits", "amodal_start", "meta")


@dataclass(frozen=True)
class SyntheticFrame:
    """One rendered frame with its truth.

    Attributes:
        color: uint8[H, W, 3], RGB.
        depth_m: float32[H, W] metres as measured by the simulated sensor, 0 = no reading.
        label: uint16[H, W], 0 = background, else an object id of ``meta["objects"]``.
        part: uint16[H, W], 0 = background, else a part id.
        intrinsics: float32[4]: fx, fy, cx, cy in pixels.
        amodal: bool[N, H, W], one mask an object, in the order of ``meta["objects"]``.
        meta: seed, view, layout, sensor, renderer and "objects": a list of {id, family, group,
            parts, visible_px, amodal_px, material}.
    """

    color: np.ndarray
    depth_m: np.ndarray
    label: np.ndarray
    part: np.ndarray
    intrinsics: np.ndarray
    amodal: np.ndarray
    meta: dict[str, Any]


class ShardWriter:
    """Writes shards into a folder, each one whole or not at all."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, frames: Sequence[SyntheticFrame]) -> dict[str, Any]:
        """Write one shard of frames of equal size; return its manifest entry.

        Raises:
            InputError: no frames.
        """
        if not frames:
            raise InputError(f"shard {name}: expected at least one frame, got none; generate more scenes")
        bits = [np.packbits(frame.amodal.reshape(len(frame.amodal), frame.label.size), axis=1) for frame in frames]
        start = np.concatenate([[0], np.cumsum([len(rows) for rows in bits])]).astype(np.int32)
        path = self.folder / name
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as stream:
            np.savez(
                stream,
                color=np.stack([frame.color for frame in frames]),
                depth=np.stack([pack_depth(frame.depth_m) for frame in frames]),
                label=np.stack([frame.label for frame in frames]),
                part=np.stack([frame.part for frame in frames]),
                intrinsics=np.stack([frame.intrinsics for frame in frames]).astype(np.float32),
                amodal_bits=np.concatenate(bits),
                amodal_start=start,
                meta=np.array([json.dumps(frame.meta) for frame in frames]),
            )
        os.replace(temporary, path)
        return shard_entry(path, len(frames))


def shard_entry(path: Path, frames: int) -> dict[str, Any]:
    """Return the manifest entry of a finished shard."""
    return {"file": path.name, "frames": frames, "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def pack_depth(depth_m: np.ndarray) -> np.ndarray:
    """Return uint16 depth in steps of ``DEPTH_SCALE``; what does not fit becomes 0."""
    steps = np.round(np.nan_to_num(depth_m, nan=0.0, posinf=0.0, neginf=0.0) / DEPTH_SCALE)
    return np.where((steps > 0) & (steps <= 65535), steps, 0).astype(np.uint16)


class ShardReader:
    """Random access to the frames of a folder of shards.

    Without a manifest (generation still under way) every finished ``shard_*.npz`` is read.

    Args:
        folder: where the shards are.
        cache: shards kept in memory.
        verify: check every shard's sha256 first.

    Raises:
        InputError: folder or shard missing, corrupt, or not made by this package.
    """

    def __init__(self, folder: str | Path, *, cache: int = 4, verify: bool = False) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        if self.manifest:
            entries = self.manifest["shards"]
            self._paths = [self.folder / entry["file"] for entry in entries]
            counts = [int(entry["frames"]) for entry in entries]
        else:
            self._paths = sorted(self.folder.glob("shard_*.npz"))
            counts = [len(_load(path, ("intrinsics",))["intrinsics"]) for path in self._paths]
        if not self._paths:
            raise InputError(f"shard folder {self.folder}: expected shard_*.npz files, found none; "
                             "make some with: uois-sam synth --out DIR --scenes N --seed S")
        if verify and self.manifest:
            for entry, path in zip(self.manifest["shards"], self._paths):
                if not path.exists() or shard_entry(path, 0)["sha256"] != entry["sha256"]:
                    raise InputError(f"shard {path}: expected the sha256 of {MANIFEST}, got other bytes; "
                                     "delete the shard and generate again")
        self._start = np.concatenate([[0], np.cumsum(counts)])
        self._cache: OrderedDict[int, dict[str, np.ndarray]] = OrderedDict()
        self._cache_size = max(1, cache)

    def __len__(self) -> int:
        return int(self._start[-1])

    @property
    def shard_starts(self) -> np.ndarray:
        """Index of the first frame of each shard and the total, int64[shards + 1]."""
        return self._start

    def frame(self, index: int) -> SyntheticFrame:
        """Return frame ``index``, 0 to len - 1.

        Raises:
            IndexError: out of range.
            InputError: corrupt shard.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame: expected 0 to {len(self) - 1}, got {index}")
        number = int(np.searchsorted(self._start, index, side="right")) - 1
        shard, row = self._shard(number), index - int(self._start[number])
        label = shard["label"][row]
        first, last = shard["amodal_start"][row:row + 2]
        bits = shard["amodal_bits"][first:last]
        amodal = np.unpackbits(bits, axis=1, count=label.size).reshape(len(bits), *label.shape).astype(bool)
        return SyntheticFrame(
            color=shard["color"][row],
            depth_m=shard["depth"][row].astype(np.float32) * np.float32(DEPTH_SCALE),
            label=label,
            part=shard["part"][row],
            intrinsics=shard["intrinsics"][row],
            amodal=amodal,
            meta=json.loads(str(shard["meta"][row])),
        )

    def _shard(self, number: int) -> dict[str, np.ndarray]:
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        shard = _load(self._paths[number], _KEYS)
        count = int(self._start[number + 1] - self._start[number])
        if any(len(shard[key]) != count for key in ("color", "depth", "label", "part", "meta")):
            raise InputError(f"shard {self._paths[number]}: expected {count} frames in every array, got other "
                             "numbers; delete the shard and generate again")
        self._cache[number] = shard
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return shard


def _load(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except KeyError as error:
        raise InputError(f"shard {path}: expected an array {error}, got other arrays; "
                         "the file was not made by uois-sam synth") from error
    except Exception as error:
        raise InputError(f"shard {path}: expected a readable .npz, got a missing, truncated or corrupt file "
                         f"({error}); delete it and generate again") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a shard folder; empty when it has none (yet).

    Raises:
        InputError: no such folder, an unreadable manifest, or one of another format.
    """
    if not folder.is_dir():
        raise InputError(f"shard folder {folder}: expected a folder, found none; "
                         "make one with: uois-sam synth --out DIR --scenes N --seed S")
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest = json.loads(path.read_text())
        version, _ = manifest["format"], manifest["shards"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a shard manifest, got something unreadable ({error}); "
                         "generate again into an empty folder") from error
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: expected format {FORMAT_VERSION}, got {version}; generate again with this version")
    return manifest
