"""The README is executed: its Python runs, its verbs exist, its defaults are the config's."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from uois_sam_ros.cli import build_parser
from uois_sam_ros.config import PRESETS, SegmenterConfig
from uois_sam_ros.example import box_scene

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_example_runs(tmp_path, monkeypatch):
    if not (ROOT / "engines" / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    frame, truth = box_scene()
    cv2.imwrite(str(tmp_path / "color.png"), frame.color[..., ::-1])
    cv2.imwrite(str(tmp_path / "depth.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
    monkeypatch.chdir(tmp_path)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "README.md", "exec"), {})
    first, *rest = shown.getvalue().splitlines()
    assert first.startswith(f"({frame.height}, {frame.width}) ")
    assert len(rest) >= truth.max() // 2


def test_named_verbs_exist():
    verbs = build_parser()._subparsers._group_actions[0].choices
    named = set(re.findall(r"^uois-sam ([\w-]+)", README, re.M))
    assert named and named <= set(verbs)
    assert set(verbs) <= named, "every verb is shown"


def test_named_presets_exist():
    listed = re.search(r"^Presets: (.*?)\n\n", README, re.S | re.M).group(1)
    assert set(re.findall(r"`([\w-]+)` \(", listed)) == set(PRESETS)


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \|", README, re.M))
def test_defaults_in_the_table_are_those_of_the_config(row):
    name, shown = row
    stage, field = name.split(".")
    value = getattr(getattr(SegmenterConfig(), stage), field)
    assert shown.split()[0] == (value if isinstance(value, str) else f"{value:g}")


@pytest.mark.parametrize("document", ["README.md", "MODEL_CARD.md", "engines/README.md", "launch/README.md",
                                      "docs/grasping.md", "docs/datasets.md"])
def test_links_and_pictures_are_there(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"
