"""One colour picture, with or without its depth picture, given by options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, UoisError
from ..types import Frame
from ..images import read_image, to_metres, to_rgb
from .sources import InputOptions, Sample


class PairInput:
    """A single sample of source ``pair``, named after the colour file.

    Raises:
        InputError: no colour file, or depth without intrinsics or scale.
    """

    def __init__(self, options: InputOptions) -> None:
        if not options.color:
            raise InputError(f"--depth-image {options.depth}: expected --color FILE with it, got none")
        self._depth = options.depth if options.read_depth else ""
        if self._depth and options.intrinsics is None:
            raise InputError("--intrinsics: expected fx,fy,cx,cy together with a depth image, got none; "
                             "take K of the colour camera")
        if self._depth and options.depth_scale is None and Path(self._depth).suffix.lower() == ".png":
            raise InputError("--depth-scale: expected metres per unit of the depth image (0.001 for "
                             "millimetres), got none")
        self._options = options
        self.count: int | None = 1

    def __iter__(self) -> Iterator[Sample]:
        color, depth = Path(self._options.color), Path(self._depth)
        name = color.stem.removesuffix("_color")
        try:
            depth_m = None
            if self._depth:
                depth_m = to_metres(read_image(depth), self._options.depth_scale or 1.0, str(depth))
            frame = Frame(to_rgb(read_image(color)), depth_m, self._options.intrinsics, name)
        except UoisError as error:
            yield Sample("pair", name, error=str(error))
        else:
            yield Sample("pair", name, frame)
