"""Open any input: a recording, a folder of sources, synthetic shards, a public data set, or one colour/depth pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..types import Frame, Intrinsics

BAG_SUFFIXES = (".mcap", ".db3")


@dataclass(frozen=True)
class Sample:
    """One frame of an input, with its truth where there is one, or the reason why it is refused.

    Attributes:
        source: group for tables and output folders.
        name: unique inside the source, usable as a file name.
        frame: ``None`` when refused.
        truth: uint16[H, W], 0 = background, or ``None`` when not labelled.
        ignore: bool[H, W], pixels not to score, or ``None``.
        error: one sentence, ``None`` when the frame is good.
        tags: further facts (renderer, sensor, notes of the reader).
        stamp_ns: of the colour image, also of a refused one; 0 when unknown.
        skew_ns: stamp of the depth image minus that of the colour image; ``None`` without a pair.
        convert_ms: time to decode and convert the messages; 0 when unknown.
    """

    source: str
    name: str
    frame: Frame | None = None
    truth: np.ndarray | None = None
    ignore: np.ndarray | None = None
    error: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    stamp_ns: int = 0
    skew_ns: int | None = None
    convert_ms: float = 0.0


@dataclass(frozen=True)
class InputOptions:
    """What a reader cannot find out by itself.

    Attributes:
        color_topic, depth_topic, info_topic, truth_topic: of a recording; empty = detect.
        slop_s: colour and depth further apart than this (header stamps, seconds) are no pair.
        intrinsics: of the colour image; overrides what the input says.
        depth_scale: metres per unit of integer depth; overrides what the input says.
        color, depth: the files of a single pair.
        read_depth: False leaves depth, and what is wrong with it, alone: colour only.
    """

    color_topic: str = ""
    depth_topic: str = ""
    info_topic: str = ""
    truth_topic: str = ""
    slop_s: float = 0.02
    intrinsics: Intrinsics | None = None
    depth_scale: float | None = None
    color: str = ""
    depth: str = ""
    read_depth: bool = True


class Input(Protocol):
    """A series of samples. ``count`` is how many frames there are at most; ``None`` = unknown."""

    count: int | None

    def __iter__(self) -> Iterator[Sample]:
        """Yield every frame once; a bad frame is a sample with ``error`` set."""


def open_input(path: str | Path | None, options: InputOptions = InputOptions()) -> Input:
    """Find out what ``path`` is and return its reader.

    Args:
        path: recording (folder with metadata.yaml, .mcap or .db3 file), folder of pictures (one
            source or several), folder of synthetic shards, ``name:ROOT`` of a data set (``datasets/registry.py``);
            ``None`` with ``options.color`` set.

    Raises:
        InputError: nothing there that can be read; the message says what was looked for.
    """
    if options.color or options.depth:
        if path:
            raise InputError(f"input: expected either a path or --color and --depth-image, got both ({path})")
        from .pair import PairInput

        return PairInput(options)
    if not path:
        raise InputError("input: expected a recording, a folder or --color FILE, got nothing; see --help")
    from ..datasets.registry import open_dataset, split_spec

    named = split_spec(str(path))
    if named:
        return open_dataset(*named, options)
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: expected a recording or a folder, got no such file or folder")
    if path.is_file():
        return _open_file(path, options)
    if (path / "metadata.yaml").exists() or any(_bag_files(path)):
        from .bag import BagInput

        return BagInput(path, options)
    from .shards import is_shard_folder

    if is_shard_folder(path):
        return open_dataset("synthetic", path, options)
    from .folder import FolderInput

    return FolderInput(path, options)


def _open_file(path: Path, options: InputOptions) -> Input:
    if path.suffix in BAG_SUFFIXES:
        from .bag import BagInput

        return BagInput(path, options)
    hint = "convert it with rosbags-convert" if path.suffix == ".bag" else (
        "a single picture goes in by --color FILE")
    raise InputError(f"{path}: expected a .mcap or .db3 recording, got '{path.suffix or path.name}'; {hint}")


def _bag_files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.iterdir() if file.suffix in BAG_SUFFIXES)
