"""Folders of pictures: ``<source>/<name>_color.png`` with ``_depth``, ``_label`` and ``_ignore``.

``manifest.json`` of a source gives ``depth_scale`` (metres per unit) and ``intrinsics``
(fx, fy, cx, cy); each entry of ``images`` may bring its own of both. Intrinsics belong to
``native_resolution`` [w, h] of the manifest, else to the image's ``resolution``, and are scaled to
the size of the file. Depth, label and ignore files are optional. Pictures are refused one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, UoisError
from ..types import Frame, Intrinsics
from ..images import read_image, read_label, to_metres, to_rgb
from .sources import InputOptions, Sample

_COLOR = "_color.png"


@dataclass(frozen=True)
class _Entry:
    source: str
    folder: Path
    name: str
    facts: dict[str, Any]
    error: str = ""


class FolderInput:
    """One source folder, or a folder of source folders, in name order.

    Raises:
        InputError: no ``*_color.png`` in it, or the only source has an unreadable manifest; one of
            several such sources has its pictures refused.
    """

    def __init__(self, path: Path, options: InputOptions = InputOptions()) -> None:
        self._options = options
        folders = [path] if any(path.glob(f"*{_COLOR}")) else sorted(
            sub for sub in path.iterdir() if sub.is_dir() and any(sub.glob(f"*{_COLOR}")))
        self._entries: list[_Entry] = []
        for folder in folders:
            try:
                self._entries += _list_source(folder)
            except InputError as error:
                if len(folders) == 1:
                    raise
                self._entries += [_Entry(folder.resolve().name, folder, name, {}, str(error))
                                  for name in _color_names(folder)]
        if not self._entries:
            raise InputError(
                f"{path}: expected a recording (metadata.yaml, .mcap, .db3), or <name>{_COLOR} files "
                "in it or in its folders, got none of them")
        self.count: int | None = len(self._entries)

    def __iter__(self) -> Iterator[Sample]:
        for entry in self._entries:
            try:
                yield self._read(entry)
            except UoisError as error:
                yield Sample(entry.source, entry.name, error=str(error))

    def _read(self, entry: _Entry) -> Sample:
        if entry.error:
            raise InputError(entry.error)
        stem = entry.folder / entry.name
        color = to_rgb(read_image(Path(f"{stem}{_COLOR}")))
        depth_file = Path(f"{stem}_depth.png")
        depth_m = None
        if self._options.read_depth and depth_file.exists():
            depth_m = to_metres(read_image(depth_file), self._depth_scale(entry, depth_file), str(depth_file))
        intrinsics, tags = (None, {}) if depth_m is None else self._intrinsics(entry, color.shape[:2])
        frame = Frame(color, depth_m, intrinsics, entry.name)
        truth = _optional(Path(f"{stem}_label.png"), color.shape[:2])
        ignore = _optional(Path(f"{stem}_ignore.png"), color.shape[:2])
        return Sample(entry.source, entry.name, frame, truth,
                      None if ignore is None else ignore > 0, tags=tags)

    def _depth_scale(self, entry: _Entry, file: Path) -> float:
        scale = self._options.depth_scale or entry.facts.get("depth_scale")
        if scale is None:
            raise InputError(f"{file}: expected depth_scale in manifest.json, got none; pass "
                             "--depth-scale (0.001 for millimetres)")
        if not isinstance(scale, (int, float)) or not 0 < scale < float("inf"):
            raise InputError(f"{entry.folder / 'manifest.json'}: expected depth_scale in metres per unit, above 0, "
                             f"got {scale!r}; correct it or pass --depth-scale (0.001 for millimetres)")
        return float(scale)

    def _intrinsics(self, entry: _Entry, hw: tuple[int, int]) -> tuple[Intrinsics | None, dict[str, str]]:
        if self._options.intrinsics is not None:
            return self._options.intrinsics, {}
        values = entry.facts.get("intrinsics")
        if values is None:
            return None, {}
        try:
            intrinsics = Intrinsics(*(float(values[key]) for key in ("fx", "fy", "cx", "cy")))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{entry.folder / 'manifest.json'}: expected intrinsics with fx, fy, cx "
                             f"and cy, got {values!r}") from error
        native = entry.facts.get("native_resolution") or entry.facts.get("resolution")
        if native is not None and not _is_size(native):
            raise InputError(f"{entry.folder / 'manifest.json'}: expected the resolution as [width, height] in pixels, "
                             f"got {native!r}; it says which picture size the intrinsics belong to")
        return fit_intrinsics(intrinsics, hw, tuple(native) if native else None)


def fit_intrinsics(intrinsics: Intrinsics, image_hw: tuple[int, int],
                   native_wh: tuple[int, int] | None) -> tuple[Intrinsics, dict[str, str]]:
    """Scale intrinsics to the picture at hand.

    A principal point in the lower right corner means that the stated resolution is not the one
    the intrinsics belong to; the native picture is then taken to be centred on that point.

    Returns:
        Intrinsics of the picture, and a note (tag) when the resolution had to be guessed.
    """
    height, width = image_hw
    if native_wh and tuple(native_wh) != (width, height):
        intrinsics = intrinsics.scaled(width / native_wh[0], height / native_wh[1])
    if intrinsics.cx < 0.8 * width or intrinsics.cy < 0.8 * height:
        return intrinsics, {}
    factor = min(width / (2 * intrinsics.cx + 1), height / (2 * intrinsics.cy + 1))
    note = f"intrinsics scaled by {factor:.3g}: principal point in the corner of {width}x{height}"
    return intrinsics.scaled(factor, factor), {"note": note}


def _is_size(value: Any) -> bool:
    return (isinstance(value, list) and len(value) == 2
            and all(isinstance(side, (int, float)) and side > 0 for side in value))


def _list_source(folder: Path) -> list[_Entry]:
    manifest_file = folder / "manifest.json"
    manifest: dict[str, Any] = {}
    if manifest_file.exists():
        try:
            manifest = json.loads(manifest_file.read_text())
            images = {str(image["name"]): image for image in manifest.get("images", [])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{manifest_file}: expected JSON with depth_scale, intrinsics and images "
                             f"(each with a name), got: {error!r}") from error
    else:
        images = {}
    for name in images:
        if not name or Path(name).name != name:
            raise InputError(f"{manifest_file}: expected image names without folders, got '{name}'; "
                             "pictures lie beside their manifest")
    shared = {key: manifest[key] for key in ("depth_scale", "intrinsics", "native_resolution")
              if key in manifest}
    names = sorted({*_color_names(folder), *images})
    return [_Entry(folder.resolve().name, folder, name, {**shared, **images.get(name, {})}) for name in names]


def _color_names(folder: Path) -> list[str]:
    return sorted(file.name[: -len(_COLOR)] for file in folder.glob(f"*{_COLOR}"))


def _optional(file: Path, hw: tuple[int, int]) -> np.ndarray | None:
    if not file.exists():
        return None
    label = read_label(file)
    if label.shape != tuple(hw):
        raise InputError(f"{file}: expected {hw[1]}x{hw[0]} like the colour image, got "
                         f"{label.shape[1]}x{label.shape[0]}; store it at native resolution")
    return label
