"""Hashes that decide whether something was computed already: of a run, of a frame, of its truth, of the metric."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...config import SegmenterConfig
from ...runtime.manifest import Manifest, find_models
from ...types import Frame

_PACKAGE = Path(__file__).resolve().parents[2]
#: What turns a frame into a label image, and what scores it: other code gives other results.
_SEGMENTING = ("pipeline.py", "geometry.py", "baseline", "encoding", "prompting", "decoding", "rescoring", "selection",
               "runtime")
_SCORING = ("replay/metrics.py", "replay/assignment.py", "replay/boundary.py")
#: Settings that change where and how fast the networks run, and not what they find.
_IRRELEVANT = ("model_dir", "threads")


def run_facts(config: SegmenterConfig) -> dict[str, Any]:
    """Return what decides the answers of a run: settings, sha256 of every network, sha256 of the code.

    Raises:
        ModelError: a network that the configuration names is not there.
    """
    settings = asdict(config)
    for name in _IRRELEVANT:
        settings["runtime"].pop(name)
    return {"settings": settings, "networks": network_hashes(config), "code": code_hash(_SEGMENTING)}


def run_key(facts: dict[str, Any]) -> str:
    """Return the hash of ``run_facts``."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def network_hashes(config: SegmenterConfig) -> dict[str, list[str]]:
    """Return name -> sha256 of the file, and of the weights beside it, that the manifest has of each network in use."""
    names = network_names(config)
    if not names:
        return {}
    manifest = Manifest.load(find_models(config.runtime.model_dir))
    entries = {name: manifest.entry(name) for name in names}
    return {name: [entry["sha256"], *([entry["data"]["sha256"]] if "data" in entry else [])]
            for name, entry in entries.items()}


def network_names(config: SegmenterConfig) -> tuple[str, ...]:
    """Return the networks that a configuration runs."""
    if config.method != "network":
        return ()
    rescorer = (config.rescoring.rescorer,) if config.rescoring.strategy == "hdnet" else ()
    return (*config.encoding.encoders, config.decoding.decoder, *rescorer)


def metric_key() -> str:
    """Return the hash of the metric's code."""
    return code_hash(_SCORING)[:16]


def frame_key(frame: Frame) -> str:
    """Return the hash of what a segmenter sees of a frame; its name does not matter."""
    k = frame.intrinsics
    numbers = () if k is None else (k.fx, k.fy, k.cx, k.cy)
    return _hash([repr((frame.color.shape, frame.depth_m is not None, numbers)).encode(), frame.color,
                  *([] if frame.depth_m is None else [frame.depth_m])])


def truth_key(truth: np.ndarray, ignore: np.ndarray | None) -> str:
    """Return the hash of what an answer is scored against."""
    return _hash([repr((truth.shape, str(truth.dtype), ignore is not None)).encode(), truth,
                  *([] if ignore is None else [ignore])])


@lru_cache(maxsize=8)
def code_hash(places: tuple[str, ...]) -> str:
    """Return the sha256 over the Python files of some modules and folders of this package."""
    files = sorted(file for place in places for file in (
        [_PACKAGE / place] if place.endswith(".py") else (_PACKAGE / place).rglob("*.py")))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(_PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _hash(parts: Iterable[bytes | np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()
