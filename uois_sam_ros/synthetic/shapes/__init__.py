"""Object families: each makes a random object of realistic size from convex pieces.

Families named in ``HOLDOUT_FAMILIES`` are for test sets alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import ConfigError
from ..model import ObjectModel
from . import boxes, desk, holdout, hollow, organic, tools, vessels

TRAIN_FAMILIES: tuple[str, ...] = tuple(sorted(
    name for module in (boxes, vessels, hollow, organic, tools, desk) for name in module.FAMILIES))
HOLDOUT_FAMILIES: frozenset[str] = frozenset(holdout.FAMILIES)
FAMILIES: dict[str, Callable[[np.random.Generator], ObjectModel]] = {
    **boxes.FAMILIES, **vessels.FAMILIES, **hollow.FAMILIES, **organic.FAMILIES, **tools.FAMILIES,
    **desk.FAMILIES, **holdout.FAMILIES}

__all__ = ["FAMILIES", "HOLDOUT_FAMILIES", "TRAIN_FAMILIES", "make_object"]


def make_object(family: str, rng: np.random.Generator) -> ObjectModel:
    """Draw one object of a family; the same generator state gives the same object.

    Raises:
        ConfigError: the family does not exist.
    """
    if family not in FAMILIES:
        raise ConfigError(f"object family {family!r} is unknown; expected one of {', '.join(sorted(FAMILIES))}")
    return FAMILIES[family](rng)
