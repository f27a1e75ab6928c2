"""Prompts that are given instead of found, so that two pipelines decode the same points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..prompting import Prompter
from ..types import Features, Prompts
from .frames import even_points

if TYPE_CHECKING:
    from ..device.types import DeviceFeatures, DevicePrompts


def injecting(prompter: Prompter, count: int) -> Prompter:
    """Return ``prompter`` with its points replaced by ``count`` evenly spread ones; it runs all the same."""

    def prompt(features: Features) -> Prompts:
        points = features.grid.to_working(even_points(features.grid.native_hw, count))
        return replace(prompter(features), points_px=points, scores=np.ones(count, np.float32))

    return prompt


def device_injecting(count: int) -> Callable[[DeviceFeatures], DevicePrompts]:
    """Return a prompter of the device frame path that asks at ``count`` evenly spread points and looks at nothing."""
    import torch

    from ..device.types import DevicePrompts

    made: dict[tuple, DevicePrompts] = {}  # made in the first run, which no CUDA graph records

    def prompt(features: DeviceFeatures) -> DevicePrompts:
        some = next(iter(features.maps.values()))
        key = features.grid, len(some), some.device
        if key not in made:
            points = torch.from_numpy(features.grid.to_working(even_points(features.grid.native_hw, count)))
            taken = torch.ones(len(some), count, device=some.device)
            made[key] = DevicePrompts(points.to(some.device).expand(len(some), -1, -1).contiguous(), taken, taken > 0)
        return made[key]

    return prompt
