"""What diagnostics tell about the networks."""

from __future__ import annotations

from types import SimpleNamespace

from uois_sam_ros.ros.model_facts import model_facts
from uois_sam_ros.runtime.parity_report import ParityReport


def test_models_parity_and_graphs():
    plain = SimpleNamespace(metadata={"sha256": "0123456789abcdef"})
    report = ParityReport("fp16", 0.9995, 0.0003, 0.9998, 4)
    engine = SimpleNamespace(metadata={"sha256": "fedcba9876543210", "parity": report, "cuda_graph": "off: reason"})
    assert model_facts({}) == {"models": "none"}
    assert model_facts({"a": plain, "b": SimpleNamespace(metadata={})}) == {"models": "a 0123456789ab, b"}
    assert model_facts({"a": plain, "b": engine}) == {
        "models": "a 0123456789ab, b fedcba987654",
        "parity": "b passed fp16: mask IoU 0.9995, score error 0.0003, instance F 0.9998 on 4 frames",
        "cuda_graph": "b off: reason"}
