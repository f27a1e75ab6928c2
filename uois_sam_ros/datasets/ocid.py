"""OCID, the Object Clutter Indoor Dataset: 2,390 frames of two cameras over a floor and a table.

Whether a frame shows the floor or the table decides what is background (0 and 1, or 0, 1 and 2), so it is read from
the folder's place in the tree, ``{floor,table}/{bottom,top}`` right above the sequence. Public evaluators look for
the letters "table" anywhere in the path, and a root such as /data/tabletop/ turns all floors into tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..images import read_label
from ..types import Intrinsics
from .base import Entry, TreeDataset, list_pictures, natural
from .info import DatasetInfo

SUBSETS, SURFACES, VIEWS = ("ARID20", "ARID10", "YCB10"), ("floor", "table"), ("bottom", "top")
#: Labels up to this one are background.
LAST_BACKGROUND = {"floor": 1, "table": 2}
#: ASUS Xtion, default of its ROS driver (openni2_camera) at 640x480; the data set brings no calibration.
XTION = Intrinsics(570.3422, 570.3422, 319.5, 239.5)
MISPLACED = "sequence outside of {floor,table}/{bottom,top}: left out"


class Ocid(TreeDataset):
    """Frames in the order of the tree; the source is subset-surface-view."""

    info = DatasetInfo(
        name="ocid", title="OCID",
        layout="{ARID20,ARID10,YCB10}/{floor,table}/{bottom,top}/[category/]seqNN/{rgb,depth,label}/*.png",
        follows="lib/datasets/ocid_object.py of NVlabs/UnseenObjectClustering",
        truth="labels 0 and 1 are background on floor frames, 0, 1 and 2 on table frames",
        camera="640x480; depth uint16 millimetres; no calibration in it: 570.34, 570.34, 319.5, 239.5 of the Xtion's "
               "ROS driver is assumed",
        published={"": 2390},
        words={"floor": "floor frames alone", "table": "table frames alone"})

    def list_entries(self) -> list[Entry]:
        """Walk to the sequences; what is not in its place is left out and counted."""
        entries = []
        for folder in _sequences(self.root):
            place = place_of(folder)
            if place is None:
                self.tally.add(MISPLACED, str(folder))
                continue
            subset, surface, view, category = place
            if self.words and surface not in self.words:
                continue
            prefix = f"{category}_{folder.name}" if category else folder.name
            entries += [Entry(f"{subset}-{surface}-{view}", f"{prefix}_{color.stem}", color,
                              folder / "depth" / color.name, folder / "label" / color.name, {"surface": surface})
                        for color in list_pictures(folder / "rgb", (".png",))]
        return entries

    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Return the driver's default; millimetres."""
        return XTION, 0.001

    def read_truth(self, entry: Entry) -> np.ndarray:
        """Read the label; the surface's labels become background."""
        label = read_label(entry.label)
        return np.where(label <= LAST_BACKGROUND[entry.tags["surface"]], 0, label).astype(np.uint16)

    def missing(self) -> tuple[str, ...]:
        """Name subset-surface-view without any frame, then missing files."""
        there = {entry.source for entry in self.entries}
        surfaces = [surface for surface in SURFACES if not self.words or surface in self.words]
        wanted = [f"{subset}-{surface}-{view}" for subset in SUBSETS for surface in surfaces for view in VIEWS]
        absent = [name for name in wanted if name not in there]
        return (*(f"all of {name}" for name in absent), *super().missing())


def place_of(sequence: Path) -> tuple[str, str, str, str] | None:
    """Return subset, surface, view and category ("" for none) of a sequence folder; ``None`` when out of place."""
    parts = Path(os.path.abspath(sequence)).parts[:-1]
    for above in (1, 2):  # without and with a category folder between view and sequence
        if len(parts) >= above + 2 and parts[-above] in VIEWS and parts[-above - 1] in SURFACES:
            return parts[-above - 2], parts[-above - 1], parts[-above], parts[-1] if above == 2 else ""
    return None


def _sequences(root: Path) -> Iterator[Path]:
    """Yield folders named seq* that hold rgb/, in natural order, without looking into them."""
    if root.name.startswith("seq") and (root / "rgb").is_dir():
        yield root
        return
    for folder, below, _ in os.walk(root):
        below.sort(key=natural)
        found = [name for name in below if name.startswith("seq") and (Path(folder) / name / "rgb").is_dir()]
        yield from (Path(folder) / name for name in found)
        below[:] = [name for name in below if name not in found]
