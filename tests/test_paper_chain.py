"""The proof driver of the paper's chain, on block scenes: it runs to the end, and reports what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import block_frame, write_block_shards  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from chain_closeups import close_up  # noqa: E402
from chain_report import summarise  # noqa: E402


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
    assert ran["counts"] == {"train": 9, "test": 3, "validation": 1}
    assert ran["machine"]["git_revision"] and "paper_chain.py" in ran["command"]
    assert "F against all [95 %]" in ran["text"] and "gap closed" in ran["text"]


def test_the_report_by_hand():
    """Two frames, two seeds: means over seeds first, then pairs of frames."""
    def scores(value):
        return {"f": value, "bf": value, "p75": value}

    def heads(value, choice):
        return {**scores(value), "choice": choice}

    choice = {"refined": 0.6, "decoder": 0.5, "oracle": 0.7}
    of_heads = (("1", 40.0), ("100", 50.0), ("shuffled iou", 20.0), ("shuffled labels", 0.0))
    rungs = {seed: {"grid": scores(10.0 + k), "+ heatmap": scores(30.0 + 2 * k)} for k, seed in enumerate("01")}
    frames = 2 * [{"rungs": rungs, "heads": {f"{kind}/{seed}": heads(value, choice)
                                             for seed in "01" for kind, value in of_heads}}]
    quality = {name: {"hdnet": 0.6, "decoder": 0.5, "oracle": 0.9, "random": 0.4, "clicks": 7}
               for name in frames[0]["heads"]}
    found = summarise(frames, (1, 100), quality)
    assert found["ladder"][1]["f"] == 31 and found["ladder"][1]["f_of_seeds"] == [30, 32]
    assert found["ladder"][1]["gain"] == {"mean": 20.5, "low": 20.5, "high": 20.5}
    assert found["choice"]["prompts"]["gap_closed"] == pytest.approx(0.5)
    assert found["choice"]["clicks"]["gap_closed"] == pytest.approx(0.25)
    assert [row["against_all"]["mean"] for row in (*found["fractions"], *found["controls"])] == [-10, 0, -30, -50]


def test_a_close_up_is_a_window_round_an_object():
    frame = block_frame(3)
    window = close_up(frame, 2.0, seed=5)
    assert window.label.shape == (60, 80) and window.amodal.shape[1:] == (60, 80) and window.label.any()
    left, top = (round(float(value)) for value in (frame.intrinsics - window.intrinsics)[2:])
    for name in ("color", "depth_m", "label", "part"):
        assert np.array_equal(getattr(window, name), getattr(frame, name)[top:top + 60, left:left + 80])
    assert np.array_equal(close_up(frame, 2.0, seed=5).label, window.label)
