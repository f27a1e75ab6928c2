"""docs/gpu.md: its links lead somewhere, its parameters exist with their defaults, its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tabletop import tabletop

from uois_sam_ros.config import RuntimeConfig

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
#: On a processor, and small, so that it takes a second.
HERE = '"device", "torch_device": "cpu"}, "encoding": {"short_side": 96, "long_side": 128}'


def test_links_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in target]
    assert len(targets) > 10
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target
    for path in re.findall(r"python (benchmarks/\S+\.py)", TEXT):
        assert (ROOT / path).exists(), path


def test_parameters_exist():
    rows = dict(re.findall(r"^\| `runtime\.(\w+)` \| (.*) \|$", TEXT, re.M))
    assert set(rows) == {"frame_path", "device", "torch_device", "precision"}
    for name, text in rows.items():
        shown = re.search(r"`([^`]+)` \(default\)", text)
        assert shown is None or shown.group(1) == getattr(RuntimeConfig(), name)


def test_example_runs():
    pytest.importorskip("torch", reason="the device path needs the train extra")
    if not (ROOT / "engines" / "compact_encoder.onnx").exists():
        pytest.skip("engines/ holds no models")
    code = re.search(r"```python\n(.*?)```", TEXT, re.S).group(1)
    assert code.count('"device"}') == 1
    frames = [tabletop(height=120, width=160, seed=seed)[0] for seed in range(2)]
    names = {"left_frame": frames[0], "right_frame": frames[1], "frames": frames}
    exec(compile(code.replace('"device"}', HERE), "docs/gpu.md", "exec"), names)
    assert len(names["left"]) > 0 and names["result"].label.shape == (120, 160)
