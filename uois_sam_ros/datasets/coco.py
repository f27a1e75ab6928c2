"""COCO annotations of one's own, from any annotation tool, and what ``uois-sam dataset to-coco`` writes.

Beyond the format, an image may have ``depth_file_name`` (uint16), ``depth_scale`` (metres per unit), ``intrinsics``
(fx, fy, cx, cy), ``source``, ``name`` and ``labelled``; an annotation ``label_id``, its value in the label image. Tools
that do not know these may drop them: objects are then numbered in their order, and the depth is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..images import read_image, to_metres, to_rgb
from ..replay.sources import InputOptions, Sample
from ..types import Frame, Intrinsics
from .base import NO_CAMERA, NO_DEPTH_FILE, Dataset, shorten
from .coco_file import CocoFile
from .coco_masks import paint
from .info import DatasetInfo

UNLABELLED = "image without annotations: read as not labelled"
NO_MASK = "annotation without mask: its box is not scored"
HIDDEN = "object that lies wholly under later ones: left out"


class Coco(Dataset):
    """Images in the order of the annotation file; the source is ``source`` of the image, else the folder's name."""

    info = DatasetInfo(
        name="coco", title="COCO folder",
        layout="annotations.json, annotations/*.json (one of them) or the .json file itself, with the pictures beside "
               "it or in images/",
        follows="the COCO data format; masks as pycocotools decodes them",
        truth="crowds, and boxes of annotations without mask, are not scored; an image without annotations is not "
              "labelled unless the file says so",
        camera="any size; depth and intrinsics only where the annotation file names them",
        verified="checked against pycocotools")
    #: Which mask counts; ``None``: visible_mask, else segmentation.
    mask_key: str | None = None

    def __init__(self, root: str | Path, words: Sequence[str] = (), options: InputOptions = InputOptions()) -> None:
        super().__init__(root, words, options)
        path, self.folders = self.find_files()
        self.file = CocoFile(path, self.tally)
        self.indices = self.choose()
        if not self.indices:
            raise self.nothing_found()

    def find_files(self) -> tuple[Path, list[Path]]:
        """Return the annotation file, and the folders in which its pictures may be.

        Raises:
            InputError: no annotation file, or several.
        """
        if self.root.is_file():
            path = self.root
        else:
            places = [self.root / "annotations.json"] if (self.root / "annotations.json").exists() else (
                sorted((self.root / "annotations").glob("*.json")) or sorted(self.root.glob("*.json")))
            if len(places) != 1:
                found = shorten([place.name for place in places]) or "none"
                raise InputError(f"{self.info.title} {self.root}: expected one annotation file, got {found}; name it: "
                                 f"{self.info.name}:{self.root}/annotations/FILE.json")
            path = places[0]
        tops = [path.parent, path.parent.parent]
        return path, [*tops, *(top / "images" for top in tops)]

    def choose(self) -> list[int]:
        """Return the indices of the images that are read."""
        return list(range(len(self.file)))

    def source_of(self, image: dict[str, Any]) -> str:
        """Return the group of an image."""
        return str(image.get("source") or self.file.path.resolve().parent.name)

    def depth_unit(self, image: dict[str, Any]) -> tuple[Intrinsics | None, float | None]:
        """Return what the annotation file says: intrinsics, and metres per unit of depth.

        Raises:
            InputError: intrinsics without fx, fy, cx, cy.
        """
        values, scale = image.get("intrinsics"), image.get("depth_scale")
        try:
            intrinsics = None
            if values is not None:
                intrinsics = Intrinsics(*(float(values[key]) for key in ("fx", "fy", "cx", "cy")))
            return intrinsics, None if scale is None else float(scale)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{image['file_name']}: expected intrinsics with fx, fy, cx, cy and depth_scale as a "
                             f"number, got {values!r} and {scale!r}; correct {self.file.path.name}") from error

    def __len__(self) -> int:
        return len(self.indices)

    def where(self, index: int) -> tuple[str, str]:
        image = self.file.images[self.indices[index]]
        stem = Path(image["file_name"]).with_suffix("").as_posix().strip("/").replace("/", "_")
        return self.source_of(image), str(image.get("name") or stem)

    def read(self, index: int) -> Sample:
        number = self.indices[index]
        image = self.file.images[number]
        source, name = self.where(index)
        place = f"{source}/{name}"
        if number in self.file.clashing:
            raise InputError(f"{image['file_name']}: expected an image id of its own, got {image['id']}, which another "
                             f"picture has too; give each picture its id in {self.file.path.name}")
        path = self._find(image["file_name"])
        color = to_rgb(read_image(path))
        self._check_size(image, color.shape[:2])
        annotations = self.file.annotations(number)
        truth = ignore = None
        if annotations or image.get("labelled"):
            painted = paint(annotations, color.shape[:2], image["file_name"], self.mask_key)
            truth, ignore = painted.label, painted.ignore
            for remark, count in ((NO_MASK, painted.without_mask), (HIDDEN, painted.hidden)):
                for k in range(count):
                    self.tally.add(remark, f"{place} ({k + 1} of {count})")
        else:
            self.tally.add(UNLABELLED, place)
        depth_m, intrinsics = self._read_depth(image, place) if self.options.read_depth else (
            None, self.options.intrinsics)
        return Sample(source, name, Frame(color, depth_m, intrinsics, name), truth, ignore)

    def missing(self) -> tuple[str, ...]:
        """Name the pictures that the annotation file lists and nobody finds."""
        phrases = []
        for kind in ("file_name", "depth_file_name"):
            named = [self.file.images[number][kind] for number in self.indices if kind in self.file.images[number]]
            absent = [name for name in named if self._locate(name) is None]
            if absent:
                phrases.append(f"{len(absent)} files ({kind}): {shorten(absent)}")
        return tuple(phrases)

    def _locate(self, name: str) -> Path | None:
        return next((folder / name for folder in self.folders if (folder / name).is_file()), None)

    def _find(self, name: str) -> Path:
        path = self._locate(name)
        if path is None:
            raise InputError(f"{name}: expected the picture in {self.folders[0]} or {self.folders[-1]}, got none; put "
                             "it there")
        return path

    def _check_size(self, image: dict[str, Any], color_hw: tuple[int, int]) -> None:
        said = (image.get("height", color_hw[0]), image.get("width", color_hw[1]))
        if said != tuple(color_hw):
            raise InputError(f"{image['file_name']}: expected {said[1]}x{said[0]} as {self.file.path.name} says, got "
                             f"{color_hw[1]}x{color_hw[0]}; use the pictures that were annotated")

    def _read_depth(self, image: dict[str, Any], place: str) -> tuple[Any, Intrinsics | None]:
        name = image.get("depth_file_name")
        path = self._locate(name) if name else None
        if path is None:
            if name:
                self.tally.add(NO_DEPTH_FILE, place)
            return None, self.options.intrinsics
        intrinsics, scale = self.depth_unit(image)
        intrinsics, scale = self.options.intrinsics or intrinsics, self.options.depth_scale or scale
        if intrinsics is None:
            self.tally.add(NO_CAMERA, place)
            return None, None
        if scale is None:
            raise InputError(f"{name}: expected depth_scale in {self.file.path.name}, got none; pass --depth-scale "
                             "(0.001 for millimetres)")
        return to_metres(read_image(path), scale, str(path)), intrinsics
