"""The proof driver of the paper's chain, on block scenes: it runs to the end, and reports what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import block_frame, write_block_shards  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from chain_closeups import close_up  # noqa: E402
from chain_report import summarise  # noqa: E402
from chain_runs import chosen_iou, mixed_targets  # noqa: E402

from uois_sam_ros.training.clicks import Clicks  # noqa: E402


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> dict:
    """The figures of a quick run, and in "text" what it printed."""
    folder = tmp_path_factory.mktemp("chain")
    shards = str(write_block_shards(folder / "shards"))
    run = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "paper_chain.py", "--train", shards, "--test", shards, "--out",
         folder / "out", "--quick", "--json", folder / "chain.json", "--plot", folder / "chain.png"],
        capture_output=True, text=True, timeout=600, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr[-3000:]
    assert (folder / "chain.png").stat().st_size > 2000
    return {**json.loads((folder / "chain.json").read_text()), "text": run.stdout}


def test_every_rung_fraction_and_control_is_there(ran):
    rungs = [row["rung"] for row in ran["ladder"]]
    assert rungs == ["geometry", "grid", "+ foreground", "+ heatmap", "+ HDNet", "+ depth foreground", "+ depth score",
                     "+ plane veto", "+ metric size"]
    assert [row["heads"] for row in ran["fractions"]] == ["50", "100"]
    assert [row["heads"] for row in ran["controls"]] == ["shuffled iou", "shuffled labels"]
    for row in (*ran["ladder"], *ran["fractions"], *ran["controls"]):
        assert len(row["f_of_seeds"]) == 2
    assert all(0 <= row["without_prompts"] <= 1 for row in (*ran["fractions"], *ran["controls"]))
    assert set(ran["choice"]) == {"prompts", "50", "100", "shuffled iou"}
    assert {key: ran["counts"][key] for key in ("train", "test", "validation")} == {
        "train": 10, "test": 3, "validation": 1}
    assert 0 < ran["score_threshold"] < 1
    assert ran["machine"]["git_revision"] and "paper_chain.py" in ran["command"]
    assert "F against all [95 %]" in ran["text"] and "gap closed" in ran["text"]


def test_the_report_by_hand():
    """Two frames, two seeds: means over seeds first, then pairs of frames."""
    def scores(value):
        return {"f": value, "bf": value, "p75": value}

    def heads(value, choice):
        return {**scores(value), "prompts": int(value), "choice": choice}

    choice = {"refined": 0.6, "decoder": 0.5, "oracle": 0.7}
    of_heads = (("1", 40.0), ("100", 50.0), ("shuffled iou", 20.0), ("shuffled labels", 0.0))
    rungs = {seed: {"grid": scores(10.0 + k), "+ heatmap": scores(30.0 + 2 * k)} for k, seed in enumerate("01")}
    frames = 2 * [{"rungs": rungs, "heads": {f"{kind}/{seed}": heads(value, choice)
                                             for seed in "01" for kind, value in of_heads}}]
    clicked = {"hdnet": np.array([50.0, 70]), "decoder": np.array([50.0, 50]), "oracle": np.array([90.0, 90])}
    found = summarise(frames, (1, 100), {name: clicked for name in frames[0]["heads"]})
    assert found["ladder"][1]["f"] == 31 and found["ladder"][1]["f_of_seeds"] == [30, 32]
    assert found["ladder"][1]["gain"] == {"mean": 20.5, "low": 20.5, "high": 20.5}
    assert found["choice"]["prompts"]["gap_closed"] == pytest.approx(0.5)
    clicks = found["choice"]["shuffled iou"]
    assert clicks["gap_closed"] == pytest.approx(0.25) and clicks["frames"] == 2
    assert clicks["gain"] == {"mean": 10, "low": 0, "high": 20}
    compared = (*found["fractions"], *found["controls"])
    assert [row["against_all"]["mean"] for row in compared] == [-10, 0, -30, -50]
    assert [row["without_prompts"] for row in compared] == [0, 0, 0, 1]


def test_a_choice_is_averaged_over_clicks_on_objects_then_frames():
    target = torch.tensor([[0.2, 0.6], [0.4, 0.0], [0.0, 0.0], [1.0, 0.5]])
    on_object, frame = torch.tensor([True, True, False, True]), torch.tensor([0, 0, 1, 2])
    clicks = Clicks(torch.zeros(4, 2, 1), torch.zeros(4, 1), target.flip(1), target, on_object, frame)
    assert np.allclose(chosen_iou(clicks, target), [50, 100])
    assert np.allclose(chosen_iou(clicks, clicks.iou_predictions), [10, 50])


def test_mixed_targets_leave_nothing_to_learn():
    """Not even which of the masks is best in the mean."""
    target = torch.stack([torch.zeros(4000), torch.ones(4000)], dim=1)
    clicks = Clicks(target, target, target, target, torch.ones(4000, dtype=torch.bool), torch.zeros(4000))
    mixed = mixed_targets(clicks, 0).target
    assert float(mixed.sum()) == 4000 and abs(float(mixed[:, 0].mean()) - 0.5) < 0.05
    assert not torch.equal(mixed, mixed_targets(clicks, 1).target)


def test_a_close_up_is_a_window_round_an_object():
    frame = block_frame(3)
    window = close_up(frame, 2.0, seed=5)
    assert window.label.shape == (60, 80) and window.amodal.shape[1:] == (60, 80) and window.label.any()
    left, top = (round(float(value)) for value in (frame.intrinsics - window.intrinsics)[2:])
    for name in ("color", "depth_m", "label", "part"):
        assert np.array_equal(getattr(window, name), getattr(frame, name)[top:top + 60, left:left + 80])
    assert np.array_equal(close_up(frame, 2.0, seed=5).label, window.label)
