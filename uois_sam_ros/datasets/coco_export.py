"""Label images as COCO annotations that any annotation tool opens, and ``coco:DIR`` reads back pixel by pixel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..types import Frame
from .base import check_size
from .polygons import mask_to_polygons
from .rle import encode_mask
from .shards import DEPTH_SCALE, pack_depth

ANNOTATIONS = "annotations.json"
CATEGORY = {"id": 1, "name": "object", "supercategory": "object"}


class CocoWriter:
    """Writes ``annotations.json``, ``images/<source>/<name>.png`` and ``depth/<source>/<name>.png`` (uint16).

    Annotations are written as they come; the file gets its name when the writer is closed. Use it as a context.

    Args:
        folder: made when it is not there; must hold no annotations yet, so that mended ones are never lost.
        polygons: outlines along pixel borders in place of run-length codes, for tools that edit nothing else; as
            exact, but larger. An object with holes is cut into parts without.

    Raises:
        InputError: the folder holds annotations already, or cannot be written.
    """

    def __init__(self, folder: str | Path, *, polygons: bool = False) -> None:
        self.folder, self._polygons = Path(folder), polygons
        if (self.folder / ANNOTATIONS).exists():
            raise InputError(f"{self.folder / ANNOTATIONS}: expected no annotations yet, got some; they may have been "
                             "mended: choose another folder")
        self.images: list[dict[str, Any]] = []
        self.objects = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._stream = open(self._part, "w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.folder}: expected a folder that can be written, got: {error}") from error
        self._stream.write(f'{{"info": {{"description": "uois-sam dataset to-coco"}},\n"categories": '
                           f'[{json.dumps(CATEGORY)}],\n"annotations": [')

    def __enter__(self) -> CocoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.close()
            self._part.unlink(missing_ok=True)

    def add(self, source: str, name: str, frame: Frame, label: np.ndarray | None = None, *,
            ignore: np.ndarray | None = None, scores: Mapping[int, float] | None = None) -> int:
        """Write one frame.

        Args:
            label: unsigned integer[H, W], 0 = background; ``None``: not labelled, a picture to annotate.
            ignore: bool[H, W], pixels not to score; becomes a crowd.
            scores: id -> score, for labels that were predicted.

        Returns:
            Number of objects.

        Raises:
            InputError: label and picture differ in size.
            OSError: a file cannot be written.
        """
        image: dict[str, Any] = {"id": len(self.images) + 1, "file_name": f"images/{source}/{name}.png",
                                 "width": frame.width, "height": frame.height, "source": source, "name": name}
        if frame.intrinsics is not None:
            k = frame.intrinsics
            image["intrinsics"] = {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy}
        if label is not None:
            check_size(label, (frame.height, frame.width), f"label of {source}/{name}")
            image["labelled"] = True
        self._write_picture(image["file_name"], frame.color[:, :, ::-1])
        if frame.depth_m is not None:
            image |= {"depth_file_name": f"depth/{source}/{name}.png", "depth_scale": DEPTH_SCALE}
            self._write_picture(image["depth_file_name"], pack_depth(frame.depth_m))
        self.images.append(image)
        ids = [] if label is None else [int(number) for number in np.unique(label) if number]
        for number in ids:
            facts = {"label_id": number} if scores is None else {"label_id": number, "score": scores.get(number)}
            self._annotate(image["id"], label == number, facts)
        if ignore is not None and ignore.any():
            self._annotate(image["id"], ignore, {}, crowd=True)
        return len(ids)

    def close(self) -> Path:
        """Finish the annotation file and return its path."""
        images = ",\n".join(json.dumps(image) for image in self.images)
        self._stream.write(f'],\n"images": [\n{images}]}}\n')
        self._stream.close()
        return self._part.replace(self.folder / ANNOTATIONS)

    @property
    def _part(self) -> Path:
        return self.folder / f"{ANNOTATIONS}.part"

    def _annotate(self, image_id: int, mask: np.ndarray, facts: dict[str, Any], *, crowd: bool = False) -> None:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
        code = mask_to_polygons(mask) if self._polygons and not crowd else encode_mask(mask)
        self.objects += 1
        annotation = {"id": self.objects, "image_id": image_id, "category_id": CATEGORY["id"], "bbox": box,
                      "area": int(np.count_nonzero(mask)), "iscrowd": int(crowd), "segmentation": code, **facts}
        self._stream.write(("\n" if self.objects == 1 else ",\n") + json.dumps(annotation))

    def _write_picture(self, name: str, picture: np.ndarray) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), np.ascontiguousarray(picture), [cv2.IMWRITE_PNG_COMPRESSION, 2]):
            raise OSError(f"{path}: the picture could not be written")
