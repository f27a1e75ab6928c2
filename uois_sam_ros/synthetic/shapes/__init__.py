"""Object families: each makes a random object of realistic size from convex pieces.

``TRAIN_FAMILIES`` are what the base network learns from. ``SCORE_FAMILIES`` are for the score heads alone: what a
whole object is, can only be learnt from things that the base network does not know by heart. ``HOLDOUT_FAMILIES`` are
for test sets alone. No family is in two of the three.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import ConfigError
from ..model import ObjectModel
from . import boxes, desk, devices, holdout, hollow, organic, ornaments, tools, toys, vessels

TRAIN_FAMILIES: tuple[str, ...] = tuple(sorted(
    name for module in (boxes, vessels, hollow, organic, tools, desk) for name in module.FAMILIES))
SCORE_FAMILIES: tuple[str, ...] = tuple(sorted(
    name for module in (devices, ornaments, toys) for name in module.FAMILIES))
HOLDOUT_FAMILIES: frozenset[str] = frozenset(holdout.FAMILIES)
FAMILIES: dict[str, Callable[[np.random.Generator], ObjectModel]] = {
    **boxes.FAMILIES, **vessels.FAMILIES, **hollow.FAMILIES, **organic.FAMILIES, **tools.FAMILIES,
    **desk.FAMILIES, **devices.FAMILIES, **ornaments.FAMILIES, **toys.FAMILIES, **holdout.FAMILIES}

__all__ = ["FAMILIES", "HOLDOUT_FAMILIES", "SCORE_FAMILIES", "TRAIN_FAMILIES", "make_object"]


def make_object(family: str, rng: np.random.Generator) -> ObjectModel:
    """Draw one object of a family; the same generator state gives the same object.

    Raises:
        ConfigError: the family does not exist.
    """
    if family not in FAMILIES:
        raise ConfigError(f"object family {family!r} is unknown; expected one of {', '.join(sorted(FAMILIES))}")
    return FAMILIES[family](rng)
