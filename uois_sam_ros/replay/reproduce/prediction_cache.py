"""Predictions on disk, in the layout of ``uois-sam segment``: a label PNG and a JSON a frame, checked when read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...images import decode_image
from ...types import Frame, Instances
from ..results import describe, encode_png
from ..stored import StoredResult, parse_facts


class PredictionCache:
    """The predictions of one run on one data set.

    A prediction counts only when its JSON, which is written last, names the hash of the frame and of the label file;
    anything else (another frame, a half-written file, a changed one) is as good as absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, source: str, name: str, frame_key: str) -> StoredResult | None:
        """Return the prediction for this very frame, or ``None``."""
        stem = self.folder / source / name
        try:
            facts = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
            data = Path(f"{stem}_label.png").read_bytes()
            if facts["frame_key"] != frame_key or facts["label_sha256"] != hashlib.sha256(data).hexdigest():
                return None
            label = decode_image(data, f"{stem}_label.png")
            return StoredResult(label.astype(np.uint16), *parse_facts(facts))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def save(self, source: str, name: str, frame_key: str, frame: Frame, found: Instances, preset: str) -> None:
        """Write a prediction.

        Raises:
            InputError: the folder cannot be written.
        """
        stem = self.folder / source / name
        label = encode_png(found.label)
        facts = {**describe(source, name, frame, found, preset), "frame_key": frame_key,
                 "label_sha256": hashlib.sha256(label).hexdigest()}
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            _write(Path(f"{stem}_label.png"), label)
            _write(Path(f"{stem}.json"), json.dumps(facts, indent=1).encode())
        except OSError as error:
            raise InputError(f"{stem.parent}: expected a writable folder, got: {error}; free some space and start "
                             "again: what is there is kept") from error


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
