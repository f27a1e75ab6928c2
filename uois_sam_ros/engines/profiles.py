"""Which networks a configuration runs, and in which sizes."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import SegmenterConfig
from ..encoding.transform import working_grid

#: The picture that engines are tuned for, (h, w); others within the profile run, too.
USUAL_HW = (480, 640)
#: Smallest side of a working grid, and the number of prompts that engines are tuned for.
LEAST_SIDE, USUAL_PROMPTS = 96, 32

Profiles = Mapping[str, tuple[int, int, int]]


def networks(config: SegmenterConfig) -> tuple[str, ...]:
    """Return the model names that the configuration runs, in the order of the stages."""
    if config.method != "network":
        return ()
    last = (config.rescoring.rescorer,) if config.rescoring.strategy == "hdnet" else ()
    return (*config.encoding.encoders, config.decoding.decoder, *last)


def profiles(config: SegmenterConfig, picture_hw: tuple[int, int] = USUAL_HW) -> dict[str, tuple[int, int, int]]:
    """Return (min, opt, max) of the dimension letters of ``models/spec.py``: prompts M and the working grid h x w."""
    batch, step = config.decoding.batch, config.encoding.multiple
    usual = working_grid(picture_hw, config.encoding).padded_hw
    least = -(-min(LEAST_SIDE, config.encoding.short_side) // step) * step
    most = -(-config.encoding.long_side // step) * step
    return {"M": (1, min(USUAL_PROMPTS, batch), batch),
            "h": (min(least, usual[0]), usual[0], max(most, usual[0])),
            "w": (min(least, usual[1]), usual[1], max(most, usual[1]))}


def covers(built: Profiles, wanted: Profiles) -> bool:
    """Return whether an engine with the profiles ``built`` takes every size of ``wanted``."""
    return all(letter in built and built[letter][0] <= low and high <= built[letter][2]
               for letter, (low, _, high) in wanted.items())
