"""Networks that the runs of ``uois-sam reproduce`` share, and encoders that remember their last answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reproducerig import ocid  # noqa: F401 (a fixture)

from uois_sam_ros.config import SegmenterConfig, update
from uois_sam_ros.models.spec import COMPACT
from uois_sam_ros.replay.reproduce.keys import network_names
from uois_sam_ros.replay.reproduce.runner import Run, run_dataset
from uois_sam_ros.replay.reproduce.shared_models import LastAnswer, SharedModels


class Doubling:
    """A network that counts its runs."""

    spec, metadata = COMPACT[0], {}

    def __init__(self):
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        return {"y": 2 * inputs["x"]}


def test_an_encoder_remembers_its_last_answer():
    inner, x = Doubling(), np.ones((2, 3), np.float32)
    model = LastAnswer(inner)
    assert model.run({"x": x})["y"][0, 0] == 2 and model.run({"x": x.copy()})["y"][0, 0] == 2 and inner.runs == 1
    x[0, 0] = 5
    assert model.run({"x": x})["y"][0, 0] == 10 and inner.runs == 2
    model.run({"x": x.astype(np.float64)})
    model.run({"z": x, "x": x})
    assert inner.runs == 4 and model.spec is COMPACT[0]


def test_networks_are_shared_by_place(monkeypatch):
    from uois_sam_ros.replay.reproduce import shared_models

    loaded = []
    monkeypatch.setattr(shared_models, "load_model", lambda name, runtime: loaded.append(name) or Doubling())
    config = SegmenterConfig()
    other = update(config, {"rescoring": {"strategy": "decoder"}})
    elsewhere = update(config, {"runtime": {"model_dir": "x"}})
    shared = SharedModels([config, other, elsewhere])
    first, second, third = (shared.of(one) for one in (config, other, elsewhere))
    assert isinstance(first["compact_encoder"], LastAnswer) and first["compact_encoder"] is second["compact_encoder"]
    assert isinstance(first["compact_decoder"], Doubling) and isinstance(third["compact_encoder"], Doubling)
    assert len(loaded) == 6 and network_names(other) == ("compact_encoder", "compact_decoder")


def test_shared_encoders_give_the_same_labels(ocid, tmp_path):
    """The ladder of the shipped networks, once with shared encoders and once each by itself."""
    if not (Path(__file__).resolve().parents[1] / "engines/manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    configs = [SegmenterConfig(), update(SegmenterConfig(), {"rescoring": {"strategy": "decoder"}})]
    runs = [Run.of(str(k), "compact", config) for k, config in enumerate(configs)]
    together = run_dataset(ocid, [0], runs, tmp_path / "a", progress=False)
    alone = [run_dataset(ocid, [0], [one], tmp_path / "b", progress=False)[0] for one in runs]
    assert [r.report.frames[0].scores for r in together] == [r.report.frames[0].scores for r in alone]
