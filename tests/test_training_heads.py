"""HPG and HDNet of the paper's presets through the command line: killed and resumed, on two ranks, refused."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
import rankrun  # noqa: E402
from blockscenes import write_block_shards  # noqa: E402
from picturefiles import write_source  # noqa: E402
from tinynets import write_tiny_checkpoints  # noqa: E402

from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.heads import load_head  # noqa: E402
from uois_sam_ros.training.checkpoint import load_checkpoint  # noqa: E402
from uois_sam_ros.training.ranks import Ranks  # noqa: E402

TESTS = Path(__file__).parent
PATIENCE_S = 300


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """weights/ of the stand-ins (random), data/ of ten frames, cache/ that all runs share."""
    root = tmp_path_factory.mktemp("world")
    write_tiny_checkpoints(root / "weights")
    write_block_shards(root / "data", shards=1, frames=10)
    torch.set_num_threads(1)
    return root


def command(world, stage, out, *more, preset="shared-tiny", epochs=3):
    return ["train", stage, "--preset", preset, "--sam", str(world / "weights/sam_tiny.pth"), "--dinov2",
            str(world / "weights/dinov2_tiny.pth"), "--data", str(world / "data"), "--out", str(out), "--cache",
            str(world / "cache"), "--threads", "1", "--workers", "0", "--epochs", str(epochs), *more]


def hpg(world, out, *more, **options):
    return command(world, "hpg", out, "--batch", "2", "--widths", "8,8,8", "--save-minutes", "0", *more, **options)


@pytest.fixture(scope="module")
def whole(world) -> Path:
    """A run that nothing interrupted."""
    assert main(hpg(world, world / "whole")) == 0
    return world / "whole"


def same(first: Path, second: Path, name: str) -> bool:
    one, two = (load_head(folder / f"{name.split('_')[-1]}.pth", name)[0].state_dict() for folder in (first, second))
    return all(torch.equal(value, two[key]) for key, value in one.items())


def hdnet(world, out, *more, epochs=10):
    return command(world, "hdnet", out, "--batch", "4", "--clicks", "8", "--save-minutes", "0", *more, epochs=epochs)


def kill_when(reached, arguments) -> None:
    """Start a training in a process of its own, and SIGKILL it as soon as ``reached`` says so.

    Its processes are forked off one that has imported torch already.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["uois_sam_ros.training.paper"])
    process = processes.Process(target=main, args=(arguments,), daemon=True)
    process.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert process.is_alive(), "it finished before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it finished before it could be killed"


@pytest.fixture(scope="module")
def whole_hdnet(world) -> Path:
    """The other stage, not interrupted."""
    assert main(hdnet(world, world / "whole_hdnet")) == 0
    return world / "whole_hdnet"


@pytest.fixture
def uninterrupted(request, stage) -> Path:
    return request.getfixturevalue({"hpg": "whole", "hdnet": "whole_hdnet"}[stage])


@pytest.mark.parametrize("stage", ["hpg", "hdnet"])
def test_killed_in_an_epoch_it_ends_with_the_very_same_weights(world, uninterrupted, tmp_path, stage):
    train, killed = {"hpg": hpg, "hdnet": hdnet}[stage], tmp_path / "killed"
    state = killed / f"{stage}.state"

    def reached() -> bool:
        at = load_checkpoint(state)["state"] if state.exists() else {"epoch": 0}
        return at["epoch"] >= 1 and at["step"] >= 1

    kill_when(reached, train(world, killed))
    assert not (killed / f"{stage}.pth").exists()
    assert main(train(world, killed)) == 0
    assert same(uninterrupted, killed, f"sam_tiny_{stage}")
    first, second = (load_checkpoint(folder / f"{stage}.state")["history"] for folder in (uninterrupted, killed))
    assert first == second


@pytest.mark.parametrize("stage, files", [("hpg", "sam_tiny_encoder-*/*.npz"), ("hdnet", "*-clicks-*/*.npz")])
def test_killed_while_it_prepares_it_ends_with_the_very_same_weights(world, uninterrupted, tmp_path, stage, files):
    """In the middle of the backbone's features, or of the clicks that the decoder answers."""
    train, cache = {"hpg": hpg, "hdnet": hdnet}[stage], tmp_path / "cache"
    own = train(world, tmp_path / "killed", "--cache", str(cache))
    kill_when(lambda: len(list(cache.glob(files))) >= 2, own)
    assert not (tmp_path / "killed" / f"{stage}.state").exists()
    assert main(own) == 0
    assert same(uninterrupted, tmp_path / "killed", f"sam_tiny_{stage}")


def test_a_head_knows_where_it_comes_from(whole):
    _, facts = load_head(whole / "hpg.pth", "sam_tiny_hpg")
    assert facts["frames"] == 9 and facts["validation_frames"] == 1 and facts["epochs"] == 3
    assert facts["command"].startswith("uois-sam") and facts["revision"]
    assert facts["settings"]["sigma_px"] == 8 and facts["backbone"].startswith("sam_tiny_encoder-")
    assert (whole / "hpg.png").stat().st_size > 1000


def test_two_ranks_compute_what_one_does(world, tmp_path):
    """The same global batch: batch norm sees all of it, dropout masks are the same, gradients are averaged."""
    folders = [str(world / "weights"), str(world / "data")]
    launched = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", TESTS / "rankrun.py",
         *folders, str(tmp_path / "two"), str(tmp_path / "cache")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False)
    assert launched.returncode == 0, launched.stderr[-3000:]
    rankrun.train(*folders, str(tmp_path / "one"), str(tmp_path / "cache"), Ranks())
    for name, network in (("hpg", "sam_tiny_hpg"), ("hdnet", "sam_tiny_hdnet")):
        one, two = (load_checkpoint(tmp_path / run / f"{name}.state")["history"] for run in ("one", "two"))
        for row, other in zip(one, two, strict=True):
            for key in row:
                assert other[key] == pytest.approx(row[key], rel=1e-4), (name, key)
        assert one[-1]["loss"] < one[1]["loss"]
        first, second = (load_head(tmp_path / run / f"{name}.pth", network)[0].state_dict() for run in ("one", "two"))
        for key, value in first.items():
            torch.testing.assert_close(second[key], value, rtol=1e-3, atol=1e-4)


def test_dinov2_feeds_the_prompts_of_the_paper_s_preset_and_hdnet_learns_on_sam(world, tmp_path, capsys):
    assert main(hpg(world, tmp_path, "--fraction", "40", "--amp", preset="paper-tiny", epochs=1)) == 0
    assert "4 frames to train on, 1 to validate with" in capsys.readouterr().out
    module, facts = load_head(tmp_path / "hpg.pth", "dinov2_tiny_hpg")
    assert facts["percent"] == 40 and module.settings.out_hw == (336, 448)
    assert main(command(world, "hdnet", tmp_path, "--clicks", "8", preset="paper-tiny", epochs=2)) == 0
    _, facts = load_head(tmp_path / "hdnet.pth", "sam_tiny_hdnet")
    assert facts["quality"]["oracle"] >= facts["quality"]["hdnet"]
    assert facts["settings"]["clicks"] == {"per_frame": 8, "background_share": 0.5, "seed": 0}


def test_frames_without_masks_are_refused(world, tmp_path, capsys):
    write_source(tmp_path / "bare", label=False)
    assert main([*hpg(world, tmp_path / "run"), "--data", str(tmp_path / "bare")]) == 2
    assert "expected labelled frames to learn from, got none" in capsys.readouterr().err


def test_a_truncated_backbone_is_refused(world, tmp_path, capsys):
    torn = tmp_path / "sam.pth"
    torn.write_bytes((world / "weights/sam_tiny.pth").read_bytes()[:50000])
    assert main([*hpg(world, tmp_path / "run"), "--sam", str(torn)]) == 2
    assert "truncated" in capsys.readouterr().err


def test_a_damaged_entry_of_the_cache_is_computed_again(world, whole, tmp_path):
    (shelf,) = (world / "cache").glob("sam_tiny_encoder-????????????????")
    for path in list(shelf.glob("*.npz"))[:3]:
        path.write_bytes(path.read_bytes()[:1000])
    assert main(hpg(world, tmp_path)) == 0
    assert same(whole, tmp_path, "sam_tiny_hpg")


@pytest.mark.parametrize("more, message", [
    (["--fraction", "0"], "1 to 100 percent"), (["--fraction", "101"], "1 to 100 percent"),
    (["--held-out", "1"], "below 1"), (["--preset", "compact-grid"], "expected one with SAM's decoder"),
    (["--preset", "geometry"], "expected one with SAM's decoder"), (["--preset", "nonsense"], "expected one of"),
    (["--sam", ""], "--sam: stage hpg of preset shared-tiny needs the checkpoint of sam_tiny"),
    (["--sam", "nowhere.pth"], "nowhere.pth"), (["--preset", "shared"], "this is"),
    (["--cache-gb", "0.0001"], "raise --cache-gb"), (["--cache", "/proc/none"], "another --cache"),
    (["--sigma", "0"], "--sigma"), (["--seed", "-1"], "--seed"), (["--start", "engines"], "preset compact"),
    (["--data", ""], "--data: stage hpg needs labelled frames"), (["--data", "nowhere"], "nowhere"),
    (["--val", "nowhere"], "nowhere")])
def test_requests_that_cannot_be_met(world, tmp_path, monkeypatch, capsys, more, message):
    monkeypatch.chdir(tmp_path)
    assert main(hpg(world, tmp_path / "run", "--cache", str(tmp_path / "cache"), *more)) == 2
    assert message in capsys.readouterr().err


def test_several_processes_share_only_what_they_can(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "iou", "--data", str(world / "data"), "--out", str(tmp_path)]) == 2
    assert "run it in one process" in capsys.readouterr().err
    assert main(["train", "base", "--data", str(world / "data"), "--out", str(tmp_path), "--batch", "5"]) == 2
    assert "expected a multiple of the 2 processes that share it, got 5" in capsys.readouterr().err


@pytest.mark.parametrize("widths", ["8", "a,b", "8,0"])
def test_widths_that_are_none_are_refused(world, widths, capsys):
    with pytest.raises(SystemExit):
        main(["train", "hpg", "--out", "x", "--widths", widths])
    assert "numbers of channels" in capsys.readouterr().err


def test_a_head_for_other_features_is_told(whole):
    with pytest.raises(ModelError, match="expected dinov2_tiny_hpg, got sam_tiny_hpg"):
        load_head(whole / "hpg.pth", "dinov2_tiny_hpg")
