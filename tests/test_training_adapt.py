"""Adapting the compact model to a few labelled frames: what changes, what stays, what comes out segments."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import write_block_shards  # noqa: E402
from picturefiles import write_source  # noqa: E402

from uois_sam_ros import Frame, Intrinsics, Segmenter  # noqa: E402
from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.models.networks import load_reference  # noqa: E402
from uois_sam_ros.replay.sources import Sample  # noqa: E402
from uois_sam_ros.training import stages  # noqa: E402
from uois_sam_ros.training.checkpoint import load_checkpoint  # noqa: E402
from uois_sam_ros.training.own_frames import OwnFrames, as_generated, own_views  # noqa: E402

PARTS = ("encoder", "decoder", "hdnet")


@pytest.fixture(scope="module")
def adapted(trained_run, tmp_path_factory):
    """frames/, run/ with both heads adapted, models/ exported from it."""
    root = tmp_path_factory.mktemp("adapted")
    write_block_shards(root / "frames", shards=1, frames=5)
    for stage in ("hpg", "hdnet"):
        assert main(adapt(trained_run, root / "frames", root / "run", stage)) == 0
    assert main(["train", "export", "--out", str(root / "run"), "--engines", str(root / "models")]) == 0
    return root


def adapt(trained_run, data, out, stage, *more):
    return ["train", stage, "--data", str(data), "--out", str(out), "--start", str(trained_run / "engines"), "--epochs",
            "4", "--views", "2", "--threads", "1", *more]


def changed(before, after):
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def exported(folder):
    return {f"{part}.{name}": value for part in PARTS
            for name, value in load_reference(f"compact_{part}", folder).state_dict().items()}


def test_only_the_heads_change(trained_run, adapted):
    start = exported(trained_run / "engines")
    hpg, hdnet = (load_checkpoint(adapted / "run" / f"{name}.pth")["model"] for name in ("hpg", "hdnet"))
    by_hpg, by_hdnet = changed(start, hpg), changed(hpg, hdnet)
    assert by_hpg and all(name.startswith("encoder.prompt_") for name in by_hpg)
    assert by_hdnet and all(name.startswith("hdnet.") for name in by_hdnet)


def test_it_records_what_was_gained(adapted):
    facts = load_checkpoint(adapted / "run" / "hdnet.pth")["facts"]
    assert facts["hpg_validation"] <= facts["hpg_validation_before"]
    assert facts["hdnet_validation"] <= facts["hdnet_validation_before"]
    assert facts["hpg_frames"] == facts["hdnet_frames"] == 4
    assert facts["hdnet_command"].startswith("uois-sam")
    assert set(facts["started_from"]) == {f"compact_{part}" for part in PARTS}
    assert set(facts["quality"]) >= {"decoder", "hdnet", "oracle"}
    assert (adapted / "run" / "hpg.png").exists() and (adapted / "run" / "hdnet.png").exists()


def test_the_exported_model_segments(adapted):
    manifest = json.loads((adapted / "models" / "manifest.json").read_text())["models"]
    assert set(manifest) == {f"compact_{part}" for part in PARTS}
    assert manifest["compact_hdnet"]["training"]["started_from"]["compact_hdnet"] != manifest["compact_hdnet"]["sha256"]
    config = update(preset("compact"), {"runtime": {"model_dir": str(adapted / "models")}})
    frame = Frame(np.zeros((120, 160, 3), np.uint8), np.ones((120, 160), np.float32), Intrinsics(150, 150, 80, 60))
    assert Segmenter(config).segment(frame).label.shape == (120, 160)


def test_hpg_alone_exports_and_comes_before_hdnet(trained_run, adapted, tmp_path, monkeypatch, capsys):
    """Which weights are written; how they are written takes half a minute, and ``adapted`` has shown it."""
    run, models, given = tmp_path / "run", tmp_path / "models", {}

    def write(model, folder):
        given.update(model.state_dict())
        shutil.copytree(adapted / "models", folder)
        return {f"compact_{part}": Path(folder) / f"compact_{part}.onnx" for part in PARTS}

    assert main(adapt(trained_run, adapted / "frames", run, "hpg", "--epochs", "1")) == 0
    monkeypatch.setattr(stages, "export_compact", write)
    assert main(["train", "export", "--out", str(run), "--engines", str(models)]) == 0
    assert all(torch.equal(value.half().float(), given[name]) if value.is_floating_point() else True
               for name, value in load_checkpoint(run / "hpg.pth")["model"].items())
    facts = json.loads((models / "manifest.json").read_text())["models"]["compact_hdnet"]["training"]
    assert "hpg_validation" in facts and "hdnet_validation" not in facts
    (run / "hpg.pth").rename(run / "hdnet.pth")
    assert main(adapt(trained_run, adapted / "frames", run, "hpg", "--epochs", "1")) == 2
    assert "adapt hpg first" in capsys.readouterr().err


def test_the_same_command_again_changes_nothing(trained_run, adapted):
    before = load_checkpoint(adapted / "run" / "hpg.pth")["model"]
    assert main(adapt(trained_run, adapted / "frames", adapted / "run", "hpg")) == 0
    assert not changed(before, load_checkpoint(adapted / "run" / "hpg.pth")["model"])


def test_colour_pictures_of_any_size_will_do(trained_run, tmp_path, capsys):
    write_source(tmp_path / "own", ("a", "b", "c"))
    for path in (tmp_path / "own").glob("*_depth.png"):
        path.unlink()
    assert main(adapt(trained_run, tmp_path / "own", tmp_path / "run", "hdnet", "--epochs", "1")) == 0
    told = capsys.readouterr().out
    assert "2 frames to train on, 2 views each, 1 to validate with" in told and "HDNet before" in told


def test_depth_without_a_manifest_needs_its_scale(trained_run, tmp_path, capsys):
    write_source(tmp_path / "own", manifest=False)
    arguments = adapt(trained_run, tmp_path / "own", tmp_path / "run", "hdnet", "--epochs", "1")
    assert main(arguments) == 2
    assert "expected depth_scale" in capsys.readouterr().err
    assert main([*arguments, "--depth-scale", "0.001", "--intrinsics", "300,300,160,120"]) == 0


@pytest.mark.parametrize("names, label, more, message", [
    (("a",), True, (), "expected at least 2"),
    (("a", "b"), False, (), "expected labelled frames to learn from, got none"),
    (("a", "b"), True, ("--fraction", "0.5"), "1 to 100 percent"),
    (("a", "b"), True, ("--start", "nowhere"), "nowhere"),
    (("a", "b"), True, ("--val", "nowhere"), "nowhere"),
    (("a", "b"), True, ("--device", "cuda"), "--device"),
])
def test_refusals(trained_run, tmp_path, capsys, names, label, more, message):
    write_source(tmp_path / "own", names, label=label)
    assert main(adapt(trained_run, tmp_path / "own", tmp_path / "run", "hpg", *more)) == 2
    assert message in capsys.readouterr().err


def test_views_are_deterministic_and_validation_shows_frames_as_they_are(tmp_path):
    write_block_shards(tmp_path, shards=1, frames=3)
    one, two = (own_views(OwnFrames(str(tmp_path), views=2)) for _ in range(2))
    assert one.key == two.key != own_views(OwnFrames(str(tmp_path), views=2, seed=1)).key
    assert len(one.train) == 4 and len(one.valid) == 1
    for first, second in zip((*one.train, *one.valid), (*two.train, *two.valid), strict=True):
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(one.train[0]["image"], one.train[2]["image"])  # the same frame, shown twice


def test_ignored_pixels_become_background_and_unknown_cameras_are_guessed():
    label = np.zeros((48, 64), np.uint16)
    label[10:20, 10:20], label[30:40, 30:40] = 1, 5
    made = as_generated(Sample("own", "one", Frame(np.zeros((48, 64, 3), np.uint8)), label, label == 5))
    assert [fact["id"] for fact in made.meta["objects"]] == [1] and made.label.max() == 1
    assert made.intrinsics[2] == pytest.approx(31.5) and made.depth_m.max() == 0
