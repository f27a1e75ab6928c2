"""Bench: the report, the turns of two backends, and refusals. No timing is asserted."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from uois_sam_ros import bench, cli
from uois_sam_ros.config import preset
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.example import box_scene


@pytest.fixture(autouse=True)
def small_frames(monkeypatch):
    frames = [box_scene(160, 120, seed=seed)[0] for seed in range(2)]
    monkeypatch.setattr(bench, "example_frames", lambda recording=True: (frames, "small boxes"))
    return frames


class Result(tuple):
    """Four instances with timings."""

    def __new__(cls, timings_ms):
        self = super().__new__(cls, range(4))
        self.timings_ms = timings_ms
        return self


class Clocked:
    """Two stand-ins that note the order of their calls; the reference takes three times as long."""

    def __init__(self, monkeypatch):
        self.calls: list[str] = []
        monkeypatch.setattr(bench, "timed_segmenter", self.make)

    def make(self, config):
        name = config.runtime.backend
        spent = {"onnxruntime": 10.0, "torch": 30.0}[name]
        model = SimpleNamespace(elapsed_ms=0.0)

        def segment(frame):
            self.calls.append(name)
            model.elapsed_ms += spent
            return Result({"encoding": spent, "total": spent + 10})

        return SimpleNamespace(segment=segment), [model]


def test_report_and_json(tmp_path, capsys):
    target = tmp_path / "bench.json"
    assert cli.main(["bench", "--preset", "geometry", "--frames", "3", "--json", str(target)]) == 0
    table = capsys.readouterr().out
    assert "geometry, onnxruntime" in table and "small boxes" in table and "frames/s" in table
    report = json.loads(target.read_text())
    assert set(report["stages_ms"]) == {"encoding", "selection", "total", "networks"}
    assert set(report["stages_ms"]["total"]) == {"p50", "p90", "p99", "mean"}
    assert report["frames"] == 3 and report["peak_memory_mb"] > 10
    assert report["machine"]["cores_usable"] >= 1 and "numpy" in report["machine"]["versions"]


def test_backends_take_turns_in_both_orders(monkeypatch, small_frames):
    clocked = Clocked(monkeypatch)
    report = bench.measure(preset("compact"), small_frames, 4, against="torch")
    assert report["objects_mean"] == 4
    assert report["stages_ms"]["networks"]["p50"] == 10
    assert report["against"]["networks"]["ratio_median"] == 3.0
    assert report["against"]["total"]["ratio_median"] == 2.0
    turns = clocked.calls[bench.WARM_UP + 4:]
    assert turns[:4] == ["torch", "onnxruntime", "onnxruntime", "torch"]
    assert len(turns) == 2 * (bench.WARM_UP + 4)


def test_networks_are_timed(monkeypatch):
    ticks = iter([1.0, 1.25])
    monkeypatch.setattr(bench, "perf_counter", lambda: next(ticks))
    inner = SimpleNamespace(spec="spec", metadata={}, run=lambda inputs: {"y": inputs["x"] + 1})
    model = bench.TimedModel(inner)
    assert model.run({"x": np.zeros(1)})["y"] == 1
    assert model.elapsed_ms == 250.0


def test_summary_by_hand():
    assert bench.summary([1, 2, 3, 4, 5]) == {"p50": 3.0, "p90": 4.6, "p99": 4.96, "mean": 3.0}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--frames", "0"], "--frames: expected 1 or more, got 0"),
    (["--json", "no/such/folder/a.json"], "--json: expected a file in a folder that exists"),
    (["--threads", "-2"], "runtime"),
    (["--preset", "compcat"], "did you mean 'compact'"),
])
def test_refusals(arguments, message, capsys):
    assert cli.main(["bench", "--preset", "geometry", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_against_needs_networks(small_frames):
    with pytest.raises(ConfigError, match="expected a preset with networks"):
        bench.measure(preset("geometry"), small_frames, 1, against="torch")
