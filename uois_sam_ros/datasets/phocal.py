"""PhoCAL: 24 sequences of household objects, many of them transparent or reflective; one frame in ten is read."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import InputError
from ..types import Intrinsics
from .base import Entry, TreeDataset, list_pictures, natural, shorten
from .info import DatasetInfo
from .sampling import EVERY_FRAME, every_tenth

SEQUENCES = 24


class Phocal(TreeDataset):
    """Frames sequence by sequence; the source is the sequence."""

    info = DatasetInfo(
        name="phocal", title="PhoCAL",
        layout="sequence_N/{rgb,depth,mask}/NNNNNN.png with sequence_N/scene_camera.json",
        follows="lib/fcn/infer_UOIS.py of rcao-hk/UnseenObjectsWithMeanShift (the paper's first author)",
        truth="label 0 is background",
        camera="size, intrinsics and unit of depth from scene_camera.json, entry rgb",
        published={"": 721}, words={EVERY_FRAME: "every frame instead of one in ten"})

    def list_entries(self) -> list[Entry]:
        """List rgb of every sequence folder."""
        folders = sorted((item for item in self.root.iterdir() if item.is_dir() and item.name.startswith("sequence")),
                         key=lambda item: natural(item.name)) if self.root.is_dir() else []
        self._cameras: dict[Path, tuple[Intrinsics | None, float]] = {}
        return [Entry(folder.name, color.stem, color, folder / "depth" / f"{color.stem}.png",
                      folder / "mask" / f"{color.stem}.png")
                for folder in folders for color in every_tenth(list_pictures(folder / "rgb"), self.words)]

    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Read scene_camera.json of the sequence once; without it there are no intrinsics.

        Raises:
            InputError: the file is there and cannot be used.
        """
        file = entry.color.parents[1] / "scene_camera.json"
        if file not in self._cameras:
            self._cameras[file] = read_scene_camera(file) if file.exists() else (None, 0.001)
        return self._cameras[file]

    def missing(self) -> tuple[str, ...]:
        """Name sequences that are not there, then missing files."""
        there = {entry.source for entry in self.entries}
        absent = [f"sequence_{n}" for n in range(1, SEQUENCES + 1) if f"sequence_{n}" not in there]
        return (*([f"{len(absent)} sequences: {shorten(absent)}"] if absent else []), *super().missing())


def read_scene_camera(file: Path) -> tuple[Intrinsics, float]:
    """Read fx, fy, cx, cy and depth_scale of the entry ``rgb``.

    ``depth_scale`` is units a metre (1000) in public loaders of this data set, and millimetres a unit (1.0 or 0.1) in
    the BOP format that it resembles: 100 and more is taken as the former.

    Raises:
        InputError: the entry is not there or holds no numbers.
    """
    try:
        camera = json.loads(file.read_text())["rgb"]
        intrinsics = Intrinsics(*(float(camera[key]) for key in ("fx", "fy", "cx", "cy")))
        scale = float(camera.get("depth_scale", 1000.0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: expected JSON with rgb: fx, fy, cx, cy, depth_scale, got: {error!r}; copy the file "
                         "again, or pass --intrinsics and --depth-scale") from error
    if not 0 < scale < float("inf"):
        raise InputError(f"{file}: expected depth_scale above 0, got {scale:g}; pass --depth-scale")
    return intrinsics, 1.0 / scale if scale >= 100 else 0.001 * scale
