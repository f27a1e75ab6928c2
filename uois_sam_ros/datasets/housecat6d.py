"""HouseCat6D: 41 scenes of household objects, among them glass and cutlery; one frame in ten is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..types import Intrinsics
from .base import Entry, TreeDataset, list_pictures, natural, shorten
from .info import DatasetInfo
from .sampling import EVERY_FRAME, every_tenth

#: Word -> folders of that split.
SPLITS = {"train": tuple(f"scene{n:02d}" for n in range(1, 35)), "val": ("val_scene1", "val_scene2"),
          "test": tuple(f"test_scene{n}" for n in range(1, 6))}
_PREFIXES = {"train": "scene", "val": "val_scene", "test": "test_scene"}


class HouseCat6D(TreeDataset):
    """Frames scene by scene; the source is the scene."""

    info = DatasetInfo(
        name="housecat6d", title="HouseCat6D",
        layout="{sceneNN,val_sceneN,test_sceneN}/{rgb,depth,instance}/NNNNNN.png with intrinsics.txt in each scene",
        follows="VI-Net/provider/housecat6d_dataset.py of Junggy/HouseCat6D; labels as lib/fcn/infer_UOIS.py of "
                "rcao-hk/UnseenObjectsWithMeanShift reads them, 255 as in the same author's evaluation",
        truth="labels 0 and 255 are background",
        camera="1096x852; depth uint16 millimetres; intrinsics from intrinsics.txt (3x3) of the scene",
        published={"": 2503},
        words={"train": "scene01 to scene34 alone", "val": "val_scene1 and 2 alone", "test": "test_scene1 to 5 alone",
               EVERY_FRAME: "every frame instead of one in ten"})
    background = (0, 255)

    def list_entries(self) -> list[Entry]:
        """List rgb of every scene folder."""
        self._cameras: dict[Path, Intrinsics | None] = {}
        folders = [item for item in self.root.iterdir() if item.is_dir()] if self.root.is_dir() else []
        entries = []
        for split in self._splits():
            mine = (item for item in folders if item.name.startswith(_PREFIXES[split]))
            for folder in sorted(mine, key=lambda item: natural(item.name)):
                entries += [Entry(folder.name, color.stem, color, folder / "depth" / f"{color.stem}.png",
                                  folder / "instance" / f"{color.stem}.png", {"split": split})
                            for color in every_tenth(list_pictures(folder / "rgb"), self.words)]
        return entries

    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Read intrinsics.txt of the scene once; without it there are no intrinsics.

        Raises:
            InputError: the file is there and cannot be used.
        """
        file = entry.color.parents[1] / "intrinsics.txt"
        if file not in self._cameras:
            self._cameras[file] = read_matrix(file) if file.exists() else None
        return self._cameras[file], 0.001

    def missing(self) -> tuple[str, ...]:
        """Name scenes that are not there, then missing files."""
        there = {entry.source for entry in self.entries}
        absent = [name for split in self._splits() for name in SPLITS[split] if name not in there]
        return (*([f"{len(absent)} scenes: {shorten(absent)}"] if absent else []), *super().missing())

    def _splits(self) -> list[str]:
        return [split for split in SPLITS if split in self.words] or list(SPLITS)


def read_matrix(file: Path) -> Intrinsics:
    """Read a text file of nine numbers, a camera matrix.

    Raises:
        InputError: other content.
    """
    try:
        values = np.array(file.read_text().replace(",", " ").split(), dtype=np.float64)
        return Intrinsics.from_matrix(values)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected nine numbers, a camera matrix, got: {error}; copy the file again, or pass "
                         "--intrinsics") from error
