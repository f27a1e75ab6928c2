"""benchmarks/precision.py: what it compares frame by frame, and what it calls within the allowance."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from picturefiles import write_source
from tabletop import HeightEncoder, numpy_networks

from uois_sam_ros import Segmenter
from uois_sam_ros.config import preset, update

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import precision  # noqa: E402


class BlindEncoder(HeightEncoder):
    """Sees no foreground in every second picture, at which it looks twice."""

    def __init__(self):
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        outputs = super().run(inputs)
        return {**outputs, "foreground": outputs["foreground"] * np.float32((self.runs + 1) // 2 % 2)}


def side(encoder):
    timed = precision.CpuTimed(encoder)
    return Segmenter(preset("compact"), {**numpy_networks(), encoder.spec.name: timed}), timed


@pytest.fixture
def frames(tmp_path):
    """Three labelled frames, and one without labels."""
    folder = write_source(tmp_path / "desk", ("a", "b", "c", "d"))
    (folder / "d_label.png").unlink()
    return str(folder)


def test_frames_are_scored_in_pairs(frames):
    same = precision.compare(frames, [side(HeightEncoder()), side(HeightEncoder())])
    assert (same["input"], same["frames"]) == ("desk", 3)
    for name in ("overlap_f", "boundary_f"):
        assert same[name]["fp32"] == same[name]["int8"] > 50 and same[name]["gain"] == same[name]["low"] == 0
    assert same["encoder_cpu_ms"]["fp32"] > 0 and same["encoder_cpu_ms"]["ratio"] > 0
    worse = precision.compare(frames, [side(HeightEncoder()), side(BlindEncoder())])["overlap_f"]
    assert worse["fp32"] == same["overlap_f"]["fp32"]
    assert worse["gain"] == pytest.approx(-worse["fp32"] / 3, rel=0.05), "the second of three frames is lost"
    assert worse["low"] < worse["gain"] < worse["high"] == 0


@pytest.mark.parametrize(("encoder", "code", "verdict"), [(HeightEncoder, 0, "yes"), (BlindEncoder, 1, "no")])
def test_the_verdict_is_the_exit_code(frames, tmp_path, monkeypatch, capsys, encoder, code, verdict):
    sides = {"": HeightEncoder, "other": encoder}
    monkeypatch.setattr(precision, "timed_segmenter", lambda name, folder: side(sides[folder]()))
    target = tmp_path / "precision.json"
    monkeypatch.setattr(sys, "argv", ["precision.py", frames, "--models", "other", "--json", str(target)])
    assert precision.main() == code
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == f"within 0.5 F on every input: {verdict}" and shown.startswith("desk ")
    report = json.loads(target.read_text())
    assert report["within"] == (code == 0) and report["rows"][0]["frames"] == 3 and report["machine"]


def test_the_shipped_models_are_timed_on_one_thread(frames):
    if not (ROOT / "engines" / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    segmenter, encoder = precision.timed_segmenter("compact", "")
    assert encoder.spec.name == "compact_encoder" and encoder.cpu_ms == 0
    assert segmenter.config == update(preset("compact"), {"runtime": {"threads": 1, "model_dir": ""}})
    assert precision.compare(frames, 2 * [(segmenter, encoder)])["overlap_f"]["gain"] == 0 and encoder.cpu_ms > 0
