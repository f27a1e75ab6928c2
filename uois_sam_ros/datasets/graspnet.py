"""GraspNet-1Billion: 190 scenes of 256 views by two cameras; scenes 100 to 189 are the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..types import Intrinsics
from .base import Entry, TreeDataset, list_pictures, shorten
from .info import DatasetInfo

CAMERAS = ("realsense", "kinect")
#: Word -> scenes, and the three groups that tables list one by one.
SPLITS = {"train": range(0, 100), "test_seen": range(100, 130), "test_similar": range(130, 160),
          "test_novel": range(160, 190), "test": range(100, 190), "every_scene": range(0, 190)}
_GROUPS = ("train", "test_seen", "test_similar", "test_novel")
FRAMES_PER_SCENE = 256
#: Used where a scene lacks camK.npy; get_camera_intrinsic() of graspnetAPI, at 1280x720.
DEFAULTS = {"realsense": Intrinsics(927.17, 927.37, 651.32, 349.62),
            "kinect": Intrinsics(631.55, 631.21, 638.43, 366.50)}
NO_CAMERA_FILE = "no camK.npy: intrinsics of graspnetAPI taken"


def _published() -> dict[str, int]:
    frames = {split: FRAMES_PER_SCENE * len(scenes) for split, scenes in SPLITS.items()}
    counts = {"": frames["test"], **frames}
    for camera in CAMERAS:
        counts[camera] = frames["test"]
        counts |= {f"{camera},{split}": number for split, number in frames.items()}
    return counts


class GraspNet(TreeDataset):
    """Views scene by scene; the source is the split (train, test_seen, test_similar, test_novel)."""

    info = DatasetInfo(
        name="graspnet", title="GraspNet-1Billion",
        layout="scenes/scene_NNNN/{realsense,kinect}/{rgb,depth,label}/NNNN.png with camK.npy",
        follows="graspnetAPI/graspnet.py of graspnet/graspnetAPI",
        truth="label 0 is background, other values are object number + 1",
        camera="1280x720; depth uint16 millimetres; intrinsics from camK.npy, else those of graspnetAPI",
        published=_published(),
        words={"realsense": "the RealSense views (default)", "kinect": "the Kinect views",
               "test": "scenes 100 to 189 (default)", "test_seen": "scenes 100 to 129",
               "test_similar": "scenes 130 to 159", "test_novel": "scenes 160 to 189", "train": "scenes 0 to 99",
               "every_scene": "scenes 0 to 189"})

    def list_entries(self) -> list[Entry]:
        """List rgb of every scene of the split.

        Raises:
            InputError: two cameras, or two splits, at once.
        """
        self._cameras: dict[Path, Intrinsics] = {}
        self._camera, self._split = self._one_of(CAMERAS), self._one_of(tuple(SPLITS), "test")
        scenes = self.root / "scenes" if (self.root / "scenes").is_dir() else self.root
        entries = []
        for number in SPLITS[self._split]:
            folder = scenes / f"scene_{number:04d}" / self._camera
            group = next(group for group in _GROUPS if number in SPLITS[group])
            entries += [Entry(group, f"scene_{number:04d}_{color.stem}", color, folder / "depth" / f"{color.stem}.png",
                              folder / "label" / f"{color.stem}.png", {"scene": f"{number:04d}"})
                        for color in list_pictures(folder / "rgb")]
        return entries

    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Read camK.npy of the scene once; without it the constants of graspnetAPI.

        Raises:
            InputError: the file is there and cannot be used.
        """
        file = entry.color.parents[1] / "camK.npy"
        if file not in self._cameras:
            if not file.exists():
                self.tally.add(NO_CAMERA_FILE, str(file.parent))
            self._cameras[file] = read_camera_file(file) if file.exists() else DEFAULTS[self._camera]
        return self._cameras[file], 0.001

    def missing(self) -> tuple[str, ...]:
        """Name scenes without views and scenes with fewer than 256, then missing files."""
        views = dict.fromkeys((f"{number:04d}" for number in SPLITS[self._split]), 0)
        for entry in self.entries:
            views[entry.tags["scene"]] += 1
        absent = [f"scene_{scene}" for scene, count in views.items() if count == 0]
        partial = [f"scene_{scene} ({count} of {FRAMES_PER_SCENE} views)" for scene, count in views.items()
                   if 0 < count < FRAMES_PER_SCENE]
        return (*([f"{len(absent)} scenes: {shorten(absent)}"] if absent else []),
                *([f"views of {len(partial)} scenes: {shorten(partial)}"] if partial else []), *super().missing())

    def _one_of(self, choices: tuple[str, ...], default: str = "") -> str:
        chosen = [word for word in self.words if word in choices]
        if len(chosen) > 1:
            raise InputError(f"graspnet@{','.join(self.words)}: expected one of {', '.join(choices)}, got "
                             f"{' and '.join(chosen)}; read them one after the other")
        return chosen[0] if chosen else default or choices[0]


def read_camera_file(file: Path) -> Intrinsics:
    """Read a 3x3 camera matrix stored by numpy.

    Raises:
        InputError: other content.
    """
    try:
        return Intrinsics.from_matrix(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file}: expected a 3x3 camera matrix, got: {error}; copy the file again, or pass "
                         "--intrinsics") from error
