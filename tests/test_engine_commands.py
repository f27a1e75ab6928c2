"""The verb engines: export, build on a pretended GPU, list, check, clean; and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import fakegpu
import numpy as np
import pytest

from uois_sam_ros.cli import main
from uois_sam_ros.engines import parity
from uois_sam_ros.example import box_scene
from uois_sam_ros.runtime.manifest import Manifest, find_models

pytest.importorskip("onnx", reason="export needs the train extra")
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "engines" / "manifest.json").exists(), reason="engines/ holds no models")


@pytest.fixture(autouse=True)
def one_small_frame(monkeypatch):
    frame = box_scene(320, 240)[0]
    monkeypatch.setattr(parity, "fixed_frames", lambda: [frame])


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A folder with the shipped models in fp16."""
    patch = pytest.MonkeyPatch()
    patch.setattr(parity, "fixed_frames", lambda: [box_scene(320, 240)[0]])
    folder = tmp_path_factory.mktemp("models") / "fp16"
    assert main(["engines", "export", "--precision", "fp16", "--out", str(folder), "--threads", "1"]) == 0
    patch.undo()
    return folder


def test_export_says_where_the_files_come_from(half):
    source, made = Manifest.load(find_models()), Manifest.load(half)
    for name, entry in made.models.items():
        made.verify(name)
        assert entry["precision"] == "fp16" and entry["preset"] == "compact"
        assert entry["source"]["sha256"] == source.entry(name)["sha256"]
        assert (half / entry["source"]["folder"]).resolve() == source.folder.resolve()


def test_from_export_to_masks(half, tmp_path, monkeypatch, capsys):
    """Export fp16, build, list, check, segment with the engines, clean."""
    cuda = fakegpu.install(monkeypatch)
    cache = ["--cache", str(tmp_path / "cache")]
    build = ["engines", "build", "--model-dir", str(half), "--threads", "1", *cache]
    assert main(build) == 0
    assert capsys.readouterr().out.count("built ") == 3
    assert main([*build, "--picture", "320x240"]) == 0
    assert capsys.readouterr().out.count("kept ") == 3
    assert main(["engines", "list", *cache]) == 0
    output = capsys.readouterr().out
    assert "tensorrt 10.3.0  Pretended GPU (8.7)" in output and "passed fp16: mask IoU 0.99" in output
    assert f"3 engines in {tmp_path / 'cache'}" in output
    assert main(["engines", "check", *cache]) == 0

    config = tmp_path / "robot.yaml"
    config.write_text(f"runtime: {{backend: tensorrt, threads: 1, model_dir: {half}, cache: {tmp_path / 'cache'}}}\n")
    from uois_sam_ros import Segmenter

    frame = box_scene(320, 240)[0]
    segmenter = Segmenter.from_config(str(config))
    got = segmenter.segment(frame)
    expected = Segmenter.from_preset("compact", runtime={"threads": 1}).segment(frame)
    assert np.mean(got.label == expected.label) > 0.99 and cuda.allocated() > 0

    (plan, *_) = (tmp_path / "cache").glob("compact_hdnet*.plan")
    plan.write_bytes(plan.read_bytes()[:-5])
    capsys.readouterr()
    assert main(["engines", "check", *cache]) == 1
    output = capsys.readouterr().out
    assert output.count("ok ") == 2 and "unusable  engine" in output and "(cut or replaced)" in output
    assert main(["engines", "clean", "--unusable", *cache]) == 0
    assert main(["engines", "check", *cache]) == 0 and len(list((tmp_path / "cache").glob("*.plan"))) == 2
    assert main(["engines", "clean", *cache]) == 0
    assert list((tmp_path / "cache").iterdir()) == []


def test_fp32_export_is_the_same_bit_for_bit(tmp_path, capsys):
    assert main(["engines", "export", "--precision", "fp32", "--out", str(tmp_path)]) == 0
    assert "the same numbers bit for bit" in capsys.readouterr().out
    from uois_sam_ros import Segmenter

    frame = box_scene(320, 240)[0]
    old, new = (Segmenter.from_preset("compact", runtime={"threads": 1, "model_dir": folder}).stages(frame)
                for folder in ("", str(tmp_path)))
    np.testing.assert_array_equal(old.mask_set.low_res_masks, new.mask_set.low_res_masks)
    np.testing.assert_array_equal(old.instances.label, new.instances.label)


def test_int8_export_from_shards(tmp_path, capsys, monkeypatch):
    from blockscenes import write_block_shards

    write_block_shards(tmp_path / "data")
    code = main(["engines", "export", "--precision", "int8", "--out", str(tmp_path / "int8"), "--calibrate",
                 str(tmp_path / "data"), "--frames", "2", "--threads", "1"])
    captured = capsys.readouterr()
    assert "int8: taking ranges from 2 frames" in captured.err
    assert ("passed int8" in captured.out) == (code == 0)
    made = Manifest.load(tmp_path / "int8")
    assert [made.entry(name)["precision"] for name in ("compact_encoder", "compact_decoder", "compact_hdnet")] == [
        "int8", "fp32", "fp32"]


def test_export_below_the_gate_names_the_block_and_offers_the_next(tmp_path, capsys, monkeypatch):
    import uois_sam_ros.models.half as module
    from uois_sam_ros.models.half import to_half

    def spoilt(model):
        if any(value.name == "points" for value in model.graph.input):
            return to_half(model)
        import onnx

        weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
        if weights:
            values = onnx.numpy_helper.to_array(weights[0]) * np.float32(3)
            weights[0].CopyFrom(onnx.numpy_helper.from_array(values, weights[0].name))
        return to_half(model)

    monkeypatch.setattr(module, "to_half", spoilt)
    code = main(["engines", "export", "--precision", "fp16", "--out", str(tmp_path), "--threads", "1"])
    output = capsys.readouterr().out
    assert code == 1 and "failed fp16" in output and "worst compact_encoder, Conv '" in output
    assert "the next safer precision is fp32" in output


@pytest.mark.parametrize(("arguments", "words"), [
    (["export", "--precision", "fp16", "--preset", "geometry", "--out", "x"], "expected a preset with networks"),
    (["export", "--precision", "fp16", "--out", str(ROOT / "engines")], "--out: expected another folder"),
    (["export", "--precision", "int8", "--frames", "0", "--out", "x"], "--frames: expected 1 or more"),
    (["export", "--precision", "int8", "--calibrate", "nowhere", "--out", "x"], "nowhere"),
    (["build", "--preset", "compact", "--config", "x.yaml"], "--config, --preset: expected one of them"),
    (["build"], "backend tensorrt: expected the package tensorrt"),
    (["build", "--backend", "torch"], "expected the backend tensorrt or tensorrt_rtx, got 'torch'"),
    (["build", "--backend", "tensorrt_rtx", "--device", "99"], "device: expected 0 to 63"),
    (["build", "--optimization-level", "9"], "optimization_level: expected 0 to 5, got 9"),
])
def test_refusals(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    assert main(["engines", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert os.listdir(tmp_path) in ([], ["x"])


def test_models_that_are_not_fp32_are_no_source(half, tmp_path, capsys):
    assert main(["engines", "export", "--precision", "int8", "--model-dir", str(half), "--out", str(tmp_path)]) == 2
    assert "expected fp32 models in" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["640", "0x480", "axb", "640x"])
def test_odd_picture_size(size, capsys):
    with pytest.raises(SystemExit):
        main(["engines", "build", "--picture", size])
    assert "expected WxH in pixels" in capsys.readouterr().err
