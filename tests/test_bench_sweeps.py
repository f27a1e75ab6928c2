"""Sweeps: every value is timed every round, the rows add up, the picture is drawn. No timing is asserted."""

from __future__ import annotations

import json

import pytest

from uois_sam_ros import cli
from uois_sam_ros.benchmark import plots, sweeps
from uois_sam_ros.benchmark.timing import Timed, in_turns
from uois_sam_ros.config import preset
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.example import box_scene


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sweeps, "_scenes", lambda width=160, height=120, boxes=4: [
        box_scene(min(width, 160), min(height, 120), boxes, seed)[0] for seed in range(2)])


def test_rounds_visit_every_value_in_changing_order():
    calls = []

    def step(name):
        return lambda turn: calls.append((turn, name)) or Timed({"total": 1.0 + turn}, 1)

    results = in_turns([step("a"), step("b"), step("c")], 9, warm_up=1)
    assert [turn for turn, _ in calls] == [turn for turn in range(10) for _ in "abc"]
    rounds = ["".join(name for _, name in calls[k:k + 3]) for k in range(0, 30, 3)]
    assert {"".join(sorted(names)) for names in rounds} == {"abc"} and len(set(rounds)) >= 4
    assert [[one.ms["total"] for one in row] for row in results] == [[float(k) for k in range(2, 11)]] * 3


@pytest.mark.parametrize("name", sweeps.SWEEPS)
def test_rows_by_hand(monkeypatch, name):
    sweep = sweeps.SWEEPS[name]
    first, second = sweep.pair
    costs = {first: 10.0, second: 25.0}

    def points(config, models):
        return [(k, label, lambda turn, cost=cost: Timed({"decoding": cost, "total": cost * (1 + turn)}, 3, 7))
                for k, (label, cost) in enumerate(costs.items())]

    monkeypatch.setitem(sweeps.SWEEPS, name, sweeps.Sweep("things", points, sweep.pair))
    result = sweeps.run_sweep(name, preset("compact"), 3, {})
    assert result["unit"] == "things" and result["pair"] == {"from": first, "to": second, "ratio": 2.5}
    assert [row["label"] for row in result["rows"]] == [first, second]
    assert [row["ratio"] for row in result["rows"]] == [1.0, 2.5]
    assert result["rows"][1]["total_ms"]["p50"] == 25.0 * 5  # rounds 3, 4, 5
    assert result["rows"][1]["stages_ms"] == {"decoding": 25.0} and result["rows"][1]["prompts_mean"] == 7


@pytest.mark.parametrize(("name", "labels"), [
    ("objects", sweeps.OBJECTS), ("cameras", sweeps.CAMERAS), ("prompts", sweeps.PROMPTS),
    ("resolution", [f"{width}x{height}" for width, height in sweeps.PICTURES])])
def test_pairs_are_values_of_the_sweep(name, labels):
    assert set(sweeps.SWEEPS[name].pair) <= set(map(str, labels))


def test_prompts_are_as_many_as_the_value_says(monkeypatch):
    monkeypatch.setattr(sweeps, "PROMPTS", (1, 30, 100))
    result = sweeps.run_sweep("prompts", preset("compact"), 1)
    assert [row["prompts_mean"] for row in result["rows"]] == [1, 30, 100]


def test_verb_writes_tables_json_and_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweeps, "OBJECTS", (1, 15, 60))
    monkeypatch.setattr(sweeps, "CAMERAS", (1, 4))
    pytest.importorskip("matplotlib", reason="plots need the train extra")
    picture, target = tmp_path / "sweeps.png", tmp_path / "sweeps.json"
    assert cli.main(["bench", "--preset", "geometry", "--sweep", "all", "--frames", "1", "--json", str(target),
                     "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "objects: boxes on the table" in out and "15 -> 60:" in out and "1 -> 4:" in out
    assert f"wrote {target}" in out and f"wrote {picture}" in out
    report = json.loads(target.read_text())
    assert list(report["sweeps"]) == ["objects", "resolution", "cameras"]  # geometry has no prompts
    assert [row["label"] for row in report["sweeps"]["cameras"]["rows"]] == ["1", "4"]
    one, four = (row["objects_mean"] for row in report["sweeps"]["cameras"]["rows"])
    assert four >= 3 * one > 0
    assert report["rounds"] == 1 and report["command"].startswith("uois-sam") and "versions" in report["machine"]
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG") and 5_000 < len(data) < 150_000


def test_without_matplotlib_the_plot_is_refused_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    monkeypatch.setattr(sweeps, "run_sweep", lambda *given: pytest.fail("measured first"))
    arguments = ["bench", "--preset", "geometry", "--sweep", "objects", "--plot", str(tmp_path / "a.png")]
    assert cli.main(arguments) == 2
    assert "--plot: expected the package matplotlib, got none" in capsys.readouterr().err


def test_prompts_need_networks():
    with pytest.raises(ConfigError, match="--sweep prompts: expected a preset with networks"):
        sweeps.run_sweep("prompts", preset("geometry"), 1)
