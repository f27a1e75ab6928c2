"""OSD, the Object Segmentation Database 0.2 with depth: 111 hand-labelled frames.

Hand-made labels make its boundary scores the ones to trust. The folder ``disparity`` holds depth.
"""

from __future__ import annotations

from ..types import Intrinsics
from .base import Entry, TreeDataset, list_pictures, shorten
from .info import DatasetInfo

#: What OpenNI assumes of a registered Kinect or Xtion picture of 640x480 (as the TUM RGB-D benchmark documents it); the
#: data set brings no calibration.
OPENNI = Intrinsics(525.0, 525.0, 319.5, 239.5)
#: First word of a file name -> number of files, learn0 to learn44 and test0 to test65.
PARTS = {"learn": 45, "test": 66}


class Osd(TreeDataset):
    """Frames in natural order of their names; the source is ``learn`` or ``test``."""

    info = DatasetInfo(
        name="osd", title="OSD",
        layout="{image_color,annotation,disparity}/{learnN,testN}.png",
        follows="lib/datasets/osd_object.py of NVlabs/UnseenObjectClustering, eval/eval_utils.py of gist-ailab/uoais",
        truth="label 0 is background",
        camera="640x480; depth uint16 millimetres; no calibration in it: 525, 525, 319.5, 239.5 of OpenNI is assumed",
        published={"": 111, "learn": 45, "test": 66},
        words={"learn": "learn0 to learn44 alone", "test": "test0 to test65 alone"})

    def list_entries(self) -> list[Entry]:
        """List image_color."""
        entries = [Entry(_part(color.stem), color.stem, color, self.root / "disparity" / f"{color.stem}.png",
                         self.root / "annotation" / f"{color.stem}.png")
                   for color in list_pictures(self.root / "image_color")]
        return [entry for entry in entries if not self.words or entry.source in self.words]

    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Return OpenNI's default; millimetres."""
        return OPENNI, 0.001

    def missing(self) -> tuple[str, ...]:
        """Name the numbers that are not there, then missing files."""
        there = {entry.name for entry in self.entries}
        absent = [f"{part}{number}" for part, count in PARTS.items() if not self.words or part in self.words
                  for number in range(count) if f"{part}{number}" not in there]
        return (*([f"{len(absent)} pictures: {shorten(absent)}"] if absent else []), *super().missing())


def _part(stem: str) -> str:
    return next((part for part in PARTS if stem.startswith(part)), "other")
