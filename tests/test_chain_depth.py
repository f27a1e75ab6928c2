"""benchmarks/chain_depth.py: its candidates are settings of the paper's chain, one depth term each; its score."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
from tabletop import numpy_networks, tabletop  # noqa: E402

from uois_sam_ros import Segmenter  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.replay.sources import Sample  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import chain_depth  # noqa: E402
from paper_chain import DEPTH, chain_config  # noqa: E402

PLAIN = chain_config("shared-tiny", 0.24, 10)


def settings(config):
    return {(stage, name): value for stage, fields in asdict(config).items() if isinstance(fields, dict)
            for name, value in fields.items()}


def changed(config):
    before = settings(PLAIN)
    return {key: value for key, value in settings(config).items() if value != before[key]}


def test_the_first_candidate_has_no_depth_term_and_every_other_has_one():
    (first, none), *others = chain_depth.candidates()
    assert (first, none) == ("none", {}) and PLAIN.prompting.depth_prior == PLAIN.rescoring.depth_weight == 0
    found = {name: changed(update(PLAIN, change)) for name, change in others}
    assert len(found) == len(others), "names are different"
    for name, change in found.items():
        assert change, f"{name} changes nothing"
        assert len(change) == 1 or name == "metric size"
    terms = {key for change in found.values() for key in change}
    assert {(stage, name) for stage, values in DEPTH.items() for name in values} <= terms, "the rungs are tuned"


def test_strengths_are_told_by_name():
    found = dict(chain_depth.candidates())
    for term, (stage, strengths) in chain_depth.STRENGTHS.items():
        assert [getattr(getattr(update(PLAIN, found[f"{term} {value:g}"]), stage), term) for value in strengths] == [
            *strengths]


def test_score_is_overlap_f_in_percent():
    frame, truth, _ = tabletop()
    segmenter = Segmenter(preset("compact"), numpy_networks())
    assert chain_depth.score(Sample("desk", "one", frame, truth), segmenter) > 80
    assert chain_depth.score(Sample("desk", "one", frame, np.roll(truth, 100, axis=0)), segmenter) < 50
