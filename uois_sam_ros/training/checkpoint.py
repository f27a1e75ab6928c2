"""Checkpoints: weights, optimiser state and provenance, written atomically."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        samples: training views seen. history: rows for the curves. facts: command, seed, revision.
    """

    samples: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | Path, progress: Progress, **states: dict[str, Any]) -> None:
    """Write ``states`` and the progress; a kill while writing leaves the old file whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save({"format": 1, "samples": progress.samples, "history": progress.history,
                "facts": progress.facts, **states}, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Raises:
        ModelError: missing, truncated or foreign file.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"checkpoint {path}: expected a file, found none; run the earlier stage first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged files
        raise ModelError(f"checkpoint {path}: expected a file that torch can read, got: {error}; "
                         "the file is damaged or foreign, use another checkpoint") from error
    if not isinstance(content, dict) or content.get("format") != 1:
        raise ModelError(f"checkpoint {path}: expected format 1 of this package, got another file; "
                         "use a checkpoint that 'uois-sam train' wrote")
    return content
