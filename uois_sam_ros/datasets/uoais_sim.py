"""UOAIS-Sim: 50,000 rendered frames of bins and tabletops with amodal masks; the paper trains on it.

Only the visible masks become labels: a pixel belongs to what is seen there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..types import Intrinsics
from .coco import Coco
from .info import DatasetInfo

SPLITS = {"train": 45000, "val": 5000}
KINDS = ("bin", "tabletop")


class UoaisSim(Coco):
    """Images in the order of the annotation file; the source is the kind of scene, ``bin`` or ``tabletop``."""

    info = DatasetInfo(
        name="uoais-sim", title="UOAIS-Sim",
        layout="annotations/coco_anns_uoais_sim_{train,val}.json (or {train,val}.json) with "
               "{train,val}/{bin,tabletop}/",
        follows="adet/data/uoais.py of gist-ailab/uoais",
        truth="visible_mask of each annotation; segmentation holds the amodal mask and is not used",
        camera="640x480; depth uint16 in tenths of a millimetre (the public loaders clip it to 2500..15000, real depth "
               "to 250..1500 mm); no intrinsics in it: colour only unless --intrinsics is passed",
        published={"": 45000, **SPLITS, "train,bin": 22500, "train,tabletop": 22500, "bin": 22500, "tabletop": 22500},
        words={"train": "the training split (default)", "val": "the validation split", "bin": "scenes in bins alone",
               "tabletop": "scenes on tables alone"})
    mask_key = "visible_mask"

    def find_files(self) -> tuple[Path, list[Path]]:
        """Return the annotation file of the split, and its folder.

        Raises:
            InputError: no such file, or both splits at once.
        """
        splits = [split for split in SPLITS if split in self.words] or ["train"]
        if len(splits) > 1:
            raise InputError("uoais-sim@train,val: expected one split, got both; read them one after the other")
        folder = self.root / "annotations"
        for name in (f"coco_anns_uoais_sim_{splits[0]}.json", f"{splits[0]}.json"):
            if (folder / name).exists():
                return folder / name, [self.root / splits[0]]
        raise self.nothing_found()

    def choose(self) -> list[int]:
        """Return the images of the wanted kinds."""
        wanted = [kind for kind in KINDS if kind in self.words] or KINDS
        return [index for index, image in enumerate(self.file.images)
                if self.source_of(image) in wanted or wanted == KINDS]

    def source_of(self, image: dict[str, Any]) -> str:
        """Return the first folder of the picture's name."""
        return Path(image["file_name"]).parts[0]

    def depth_unit(self, image: dict[str, Any]) -> tuple[Intrinsics | None, float | None]:
        """Tenths of a millimetre; nothing is known of the camera."""
        return None, 0.0001
