"""Results that ``write_result`` wrote, read back: a label image with the scores of its instances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..images import read_label


@dataclass(frozen=True)
class StoredResult:
    """The answer to one frame, from wherever it comes.

    Attributes:
        label: unsigned integer[H, W], 0 = background.
        scores: id -> score in [0, 1]; empty when none are known.
        total_ms: time that it took; 0 when unknown.
    """

    label: np.ndarray
    scores: Mapping[int, float] = field(default_factory=dict)
    total_ms: float = 0.0


def read_result(folder: Path, source: str, name: str) -> StoredResult:
    """Read ``folder/<source>/<name>_label.png`` and, where there is one, ``<name>.json``.

    Raises:
        InputError: no label image, or one of both is unreadable.
    """
    stem = folder / source / name
    label = read_label(Path(f"{stem}_label.png"))
    facts = Path(f"{stem}.json")
    if not facts.exists():
        return StoredResult(label)
    try:
        return StoredResult(label, *parse_facts(json.loads(facts.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{facts}: expected the instances that 'uois-sam segment' wrote, got: {error!r}; segment "
                         "again") from error


def parse_facts(facts: Mapping) -> tuple[dict[int, float], float]:
    """Return id -> score, and the whole time, of what ``results.describe`` made."""
    scores = {int(item["id"]): float(item["score"]) for item in facts["instances"]}
    return scores, float(facts.get("timings_ms", {}).get("total", 0.0))
