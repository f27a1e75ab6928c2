"""Tell a folder of synthetic shards from other folders."""

from __future__ import annotations

import json
from pathlib import Path


def is_shard_folder(path: Path) -> bool:
    """True when ``path`` holds synthetic shards, with or without their manifest."""
    if any(path.glob("shard_*.npz")):
        return True
    try:
        return "shards" in json.loads((path / "manifest.json").read_text())
    except (OSError, ValueError, TypeError):
        return False
