"""The GPU benchmark's code on a processor: what it reports, and that a missing GPU is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")
pytest.importorskip("PIL", reason="the reference assembly resizes with Pillow")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything is not installed", allow_module_level=True)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def gpu():
    if not (ROOT / "engines" / "compact_encoder.onnx").exists():
        pytest.skip("engines/ holds no models")
    spec = importlib.util.spec_from_file_location("gpu_benchmark", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_report(gpu, tmp_path, capsys):
    target = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--quick", "--precision", "fp32", "--json", str(target)]) == 0
    report = json.loads(target.read_text())
    assert report == json.loads(capsys.readouterr().out)
    compact, paper = report["compact"], report["paper"]
    assert compact["fp32"]["mask_iou"]["least"] > 0.9 and compact["fp32"]["equal_label_pixels"]["mean"] > 0.97
    assert set(compact["host_path_ms"]) == {"p50", "p90", "p99", "mean"} == set(paper["reference_ms"])
    assert {"upload", "encoding", "selection", "download", "total"} <= set(compact["fp32"]["stages_ms"])
    assert {"few prompts", "many prompts", "few prompts, several cameras"} <= set(paper)
    assert paper["logit_relative_error_to_reference"]["worst"] < 1e-2
    assert "targets" not in report  # a quick run measures nothing
    judged = gpu.judged(report)
    assert set(judged) == set(gpu.TARGETS) and all(target["met"] in (True, False) for target in judged.values())
    assert judged["logit relative error to the reference"]["met"]
    report["paper"]["few prompts"]["ms"]["p50"] = 15.1
    assert not gpu.judged(report)["paper p50 ms, 30 prompts"]["met"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a CUDA device")
def test_without_a_gpu_nothing_is_measured(gpu, capsys):
    assert gpu.main(["--quick"]) == 2
    assert "got no CUDA device" in capsys.readouterr().err
