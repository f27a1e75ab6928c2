"""Reproducing on a stand-in tree with the geometry preset: who counts the frames that were segmented."""

from __future__ import annotations

from pathlib import Path

import pytest
from standintrees import write_ocid
from tabletop import numpy_networks

from uois_sam_ros import Segmenter
from uois_sam_ros.config import preset
from uois_sam_ros.datasets.registry import open_dataset
from uois_sam_ros.models.spec import COMPACT
from uois_sam_ros.replay.reproduce.runner import Run, run_dataset
from uois_sam_ros.runtime.manifest import write_entry

GEOMETRY = preset("geometry")


@pytest.fixture
def ocid(tmp_path):
    return open_dataset("ocid", write_ocid(tmp_path / "OCID-dataset"))


class Counting:
    """Makes segmenters on numpy networks and counts the frames that they see; ``fail`` raises at that frame."""

    def __init__(self, fail: int = 0, error: Exception | None = None) -> None:
        self.frames, self._fail, self._error = 0, fail, error

    def __call__(self, config):
        self._segmenter = Segmenter(config, numpy_networks())
        return self

    def segment(self, frame):
        self.frames += 1
        if self.frames == self._fail:
            raise self._error or KeyboardInterrupt
        return self._segmenter.segment(frame)


def run(config=GEOMETRY, label="one"):
    return Run.of(label, "geometry", config)


def go(dataset, runs, out, make):
    return run_dataset(dataset, range(len(dataset)), runs, out, progress=False, make_segmenter=make)


def fake_engines(folder: Path, **contents: str) -> Path:
    """A model folder whose files need not run."""
    folder.mkdir()
    for spec in COMPACT:
        (folder / f"{spec.name}.onnx").write_text(contents.get(spec.name, spec.name))
        write_entry(folder, spec.name, f"{spec.name}.onnx")
    return folder
