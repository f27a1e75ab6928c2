"""Bench: the report, the turns of two sides, a fresh process, and refusals. No timing is asserted."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

from uois_sam_ros import cli
from uois_sam_ros.benchmark import frames, measure, opponents, timing
from uois_sam_ros.benchmark.conditions import conditions, gpu_memory_mb, scheduling
from uois_sam_ros.benchmark.injected import injecting
from uois_sam_ros.benchmark.opponents import reference_opponent, torch_opponent
from uois_sam_ros.benchmark.report import format_report
from uois_sam_ros.benchmark.startup import measure_startup
from uois_sam_ros.benchmark.timing import Timed
from uois_sam_ros.config import preset, update
from uois_sam_ros.errors import BackendError, ConfigError, FrameError
from uois_sam_ros.example import box_scene
from uois_sam_ros.types import Features, Frame, Grid, Prompts


@pytest.fixture(autouse=True)
def small_frames(monkeypatch):
    scenes = [box_scene(160, 120, seed=seed)[0] for seed in range(2)]
    monkeypatch.setattr(frames, "example_frames", lambda **options: (scenes, "small boxes"))
    return scenes


class Clocked:
    """Stand-ins for both backends that note the order of their calls; torch takes three times as long."""

    def __init__(self, monkeypatch):
        self.calls: list[str] = []
        for module in (measure, opponents, timing):
            monkeypatch.setattr(module, "TimedSegmenter", self.make)

    def make(self, config, models=None, points=0):
        name = config.runtime.backend
        spent = {"onnxruntime": 10.0, "torch": 30.0}[name]

        def side(frame):
            self.calls.append(name)
            return Timed({"encoding": spent + 5, "selection": 4.0, "total": spent + 10}, 4, points or 6,
                         {"compact_encoder": spent})

        return side


def test_report_and_json(tmp_path, capsys):
    target = tmp_path / "bench.json"
    assert cli.main(["bench", "--preset", "geometry", "--frames", "3", "--starts", "0", "--json", str(target)]) == 0
    table = capsys.readouterr().out
    assert "geometry, onnxruntime" in table and "small boxes" in table and "frames/s" in table
    assert f"wrote {target}" in table
    report = json.loads(target.read_text())
    assert set(report["stages_ms"]) == {"encoding", "selection", "total", "networks"}
    assert set(report["stages_ms"]["total"]) == {"p50", "p90", "p99", "mean"}
    assert report["frames"] == 3 and report["peak_memory_mb"] > 10 and report["throughput"] > 0
    assert report["machine"]["cores_usable"] >= 1 and "numpy" in report["machine"]["versions"]
    assert report["weights"] == "no networks" and report["copies"].startswith("included")
    assert "command" in report and "load_average" in report["conditions"] and "startup_ms" not in report


def test_backends_take_turns_in_both_orders(monkeypatch, small_frames):
    clocked, config = Clocked(monkeypatch), preset("compact")
    report = measure.measure(config, small_frames, 4, torch_opponent(config))
    assert report["objects_mean"] == 4 and report["prompts_mean"] == 6
    assert report["stages_ms"]["networks"]["p50"] == 10
    stages = report["against"]["stages"]
    assert stages["networks"]["ratio_median"] == 3.0
    assert stages["total"]["ratio_median"] == 2.0 and stages["selection"]["ratio_median"] == 1.0
    turns = clocked.calls[timing.WARM_UP + 4:]
    assert turns[:4] == ["torch", "onnxruntime", "onnxruntime", "torch"]
    assert len(turns) == 2 * (timing.WARM_UP + 4)


def test_profile_by_hand():
    frames_ms = [Timed({"encoding": 30.0, "selection": 18.0, "total": 50.0}, 1, 1, {"compact_encoder": 24.0})] * 3
    assert measure.profile(frames_ms) == {
        "encoding": {"networks_ms": 24.0, "rest_ms": 6.0, "rest_share": 0.12},
        "selection": {"networks_ms": 0.0, "rest_ms": 18.0, "rest_share": 0.36},
        "other": {"networks_ms": 0.0, "rest_ms": 2.0, "rest_share": 0.04}}


def test_loud_stages_are_named(monkeypatch, capsys):
    Clocked(monkeypatch)
    assert cli.main(["bench", "--frames", "1", "--starts", "0"]) == 0
    out = capsys.readouterr().out
    assert "outside the networks over 20% of a frame: encoding" in out  # 5 of 20 ms; selection has exactly a fifth
    assert "25.0%" in out and "20.0%" in out


def test_networks_are_timed(monkeypatch):
    ticks = iter([1.0, 1.25])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(ticks))
    inner = SimpleNamespace(spec="spec", metadata={}, run=lambda inputs: {"y": inputs["x"] + 1})
    model = timing.TimedModel(inner)
    assert model.run({"x": np.zeros(1)})["y"] == 1
    assert model.elapsed_ms == 250.0


def test_device_frame_path_is_timed_in_batches(small_frames):
    pytest.importorskip("torch", reason="the device path needs the train extra")
    runtime = {"backend": "torch", "frame_path": "device", "torch_device": "cpu", "threads": 1}
    config = update(preset("compact"), {"encoding": {"short_side": 96, "long_side": 128}, "runtime": runtime})
    models = timing.timed_models(config)
    side = timing.TimedSegmenter(config, models, points=5)
    one, both = side(small_frames[0]), side.together(small_frames)
    assert one.prompts == 5 and both.prompts == 10 and not one.networks_ms
    assert one.ms["total"] > 0 and set(one.ms) == set(both.ms)
    report = measure.measure(config, small_frames, 1, models=models)
    assert report["profile"] == {} and "networks" not in report["stages_ms"] and report["frame_path"] == "device"
    assert "device frame path" in format_report({"preset": "compact", "weights": "trained", "input": "boxes", **report})
    strict = timing.TimedSegmenter(update(config, {"encoding": {"depth": "require"}}), models)
    with pytest.raises(FrameError, match="depth = require"):
        strict.together([small_frames[0], small_frames[1].without_depth()])


def test_cameras_on_the_host_come_one_after_another(small_frames):
    side = timing.TimedSegmenter(preset("geometry"))
    alone, both = side(small_frames[0]), side.together(small_frames)
    assert both.objects >= alone.objects and both.prompts == 0 and set(both.ms) == set(alone.ms)


def test_summary_by_hand():
    assert timing.summary([1, 2, 3, 4, 5]) == {"p50": 3.0, "p90": 4.6, "p99": 4.96, "mean": 3.0}


def test_points_are_injected_after_the_prompter_ran():
    grid, asked = Grid((120, 160), (240, 320), (240, 320)), []

    def prompter(features):
        asked.append(features)
        return Prompts(np.zeros((2, 2), np.float32), np.ones(2, np.float32), np.ones((240, 320), np.float32))

    prompts = injecting(prompter, 5)(Features(grid, {}))
    assert len(asked) == 1 and len(prompts) == len(prompts.scores) == 5 and prompts.foreground is not None
    np.testing.assert_allclose(grid.to_native(prompts.points_px), frames.even_points((120, 160), 5), atol=1e-4)


def test_points_are_even_and_grow():
    many = frames.even_points((480, 640), 100)
    assert (many >= 0).all() and (many[:, 0] <= 639).all() and (many[:, 1] <= 479).all()
    np.testing.assert_array_equal(many[:30], frames.even_points((480, 640), 30))
    counts, _, _ = np.histogram2d(many[:, 0], many[:, 1], bins=5, range=((0, 640), (0, 480)))
    assert counts.min() >= 2 and counts.max() <= 6  # four on average
    gaps = np.linalg.norm(many[:, None] - many[None], axis=2) + 999 * np.eye(100)
    assert gaps.min() > 20


def test_frames_by_number_of_objects(monkeypatch):
    monkeypatch.undo()
    boxes, source = frames.example_frames(recording=False, objects=7)
    assert len(boxes) == frames.SCENES and source == "7 boxes on a table, 4 scenes"
    np.testing.assert_array_equal(boxes[1].color, box_scene(boxes=7, seed=1)[0].color)
    if frames.bundled_recording() is None:
        pytest.skip("the recording is not installed")
    counts = iter([15] * 3 + [9] * 40 + [16] * 9 + [20] * 8)
    chosen, source = frames.example_frames(objects=15, count=lambda frame: next(counts))
    every, _ = frames.example_frames(objects=1, count=lambda frame: 0)
    assert len(chosen) == 12 and source.endswith("the 12 frames with about 15 objects found")
    np.testing.assert_array_equal(chosen[0].color, every[0].color)
    assert chosen[3].stamp_ns > every[-1].stamp_ns


def test_a_fresh_process_tells_its_milliseconds(small_frames):
    color_only = update(preset("geometry"), {"selection": {"max_area": 0.4}})
    times = measure_startup(color_only, small_frames[0], 1)
    assert all(value > 0 for value in times.values())
    assert times["configure_to_first_mask"] == pytest.approx(times["load"] + times["first_frame"], abs=0.2)
    assert times["process_to_first_mask"] > times["configure_to_first_mask"]


def test_a_fresh_process_that_fails_is_reported(small_frames):
    frame = Frame(small_frames[0].color)
    with pytest.raises(BackendError, match="(?s)fresh process.*exit code 1.*depth.*--starts 0"):
        measure_startup(preset("geometry"), frame, 1)


def test_conditions_are_read(tmp_path, monkeypatch):
    for core, clock in ((0, 1500000), (1, 2600000)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{clock}\n")
        (folder / "scaling_governor").write_text("schedutil\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    gpu = "NVIDIA H200, 570.1, P0, 1980, 3201, 1980, 120.5, 700.00, 41, 143771"
    write_program(programs / "nvidia-smi", f'case "$1" in *memory.used*) echo 2048;; *) echo "{gpu}";; esac')
    write_program(programs / "nvpmodel", 'echo "NV Power Mode: MAXN_SUPER"; echo 2')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    facts = conditions(tmp_path)
    assert facts["cpu_mhz"] == [1500, 2600] and facts["governor"] == "schedutil"
    assert facts["power_mode"] == "MAXN_SUPER"
    assert facts["gpus"][0]["name"] == "NVIDIA H200" and facts["gpus"][0]["sm_mhz"] == "1980"
    assert facts["gpus"][0]["memory_total_mb"] == "143771" and gpu_memory_mb() == 2048


@pytest.mark.parametrize(("policy", "nice", "told"), [
    ("SCHED_OTHER", 0, ""), ("SCHED_OTHER", 10, "nice 10"), ("SCHED_RR", 0, "real-time priority 1")])
def test_scheduling_is_told(monkeypatch, policy, nice, told):
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: getattr(os, policy))
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(1))
    monkeypatch.setattr(os, "nice", lambda more: nice)
    assert scheduling() == told


def test_conditions_that_nobody_tells_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda more: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(conditions(tmp_path)) == {"load_average"} and gpu_memory_mb() is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("cpu MHz\t\t: 2595.124\nflags : x\ncpu MHz\t\t: 3001.9\n")
    assert conditions(tmp_path)["cpu_mhz"] == [2595, 3001]


def write_program(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--frames", "0"], "--frames: expected 1 or more, got 0"),
    (["--json", "no/such/folder/a.json"], "--json: expected a file in a folder that exists"),
    (["--plot", "no/such/folder/a.png"], "--plot: expected a file in a folder that exists"),
    (["--plot", "a.png"], "--plot: expected --sweep with it"),
    (["--threads", "-2"], "runtime"),
    (["--preset", "compcat"], "did you mean 'compact'"),
    (["--objects", "61"], "--objects: expected 0 to 60, got 61"),
    (["--prompts", "-1"], "--prompts: expected 0 to 1024, got -1"),
    (["--starts", "-1"], "--starts: expected 0 to 100, got -1"),
    (["--sweep", "objects", "--against", "torch"], "--sweep, --against: expected one of them"),
    (["--sweep", "prompts"], "--sweep prompts: expected a preset with networks"),
    (["--reference", "paper"], "--reference: expected --against reference with it"),
    (["--reference-device", "cpu"], "--reference-device: expected --against reference with it"),
    (["--against", "torch"], "--against torch: expected a preset with networks"),
    (["--against", "reference", "--reference", "compact"], "--reference: expected a preset with SAM"),
    (["--sam", "a.pth"], "--sam: expected a preset with SAM"),
    (["--preset", "paper-tiny", "--model-dir", "m", "--sam", "a.pth"], "--sam, --model-dir: expected one of them"),
    (["--config", "a.yaml"], "--config, --preset: expected one of them"),
])
def test_refusals(arguments, message, capsys):
    assert cli.main(["bench", "--preset", "geometry", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_against_needs_networks():
    with pytest.raises(ConfigError, match="expected a preset with networks"):
        torch_opponent(preset("geometry"))


def test_reference_names_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(opponents, "find_spec", lambda name: None if name == "segment_anything" else True)
    with pytest.raises(BackendError, match=r"got no segment_anything; .*\[train\]"):
        reference_opponent("paper-tiny", preset("paper-tiny"))
