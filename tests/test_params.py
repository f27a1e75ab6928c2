"""Parameters come from the configuration dataclasses and nowhere else."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from uois_sam_ros.config import preset
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.ros.params import check_change, parameter_specs, params_yaml, read_settings
from uois_sam_ros.ros.settings import DYNAMIC, NodeSettings

PARAMS_FILE = Path(__file__).parents[1] / "launch" / "params.yaml"


def leaves(config, where=""):
    for spec in fields(config):
        value = getattr(config, spec.name)
        yield from leaves(value, f"{where}{spec.name}.") if is_dataclass(value) else [(f"{where}{spec.name}", value)]


def flat(tree, where=""):
    for key, value in tree.items():
        yield from flat(value, f"{where}{key}.") if isinstance(value, dict) else [(f"{where}{key}", value)]


SPECS = {spec.name: spec for spec in parameter_specs()}
DEFAULTS = {name: spec.default for name, spec in SPECS.items()}


def test_every_setting_is_a_parameter():
    expected = dict([*leaves(NodeSettings()), *leaves(preset("compact"))])
    assert set(SPECS) == {"preset", *expected}
    for name, value in expected.items():
        assert SPECS[name].default == (list(value) if isinstance(value, tuple) else value)
        assert SPECS[name].help
    assert set(DYNAMIC) <= set(SPECS)


def test_defaults_follow_the_preset():
    specs = {spec.name: spec.default for spec in parameter_specs("geometry")}
    assert specs["method"] == "geometry" and specs["preset"] == "geometry"
    assert read_settings(specs)[1] == preset("geometry")


def test_read_back():
    assert read_settings(DEFAULTS) == (NodeSettings(), preset("compact"))
    node, pipeline = read_settings({"qos.label": "reliable", "roi": [1, 2, 30, 40], "selection.nms_iou": 0.6})
    assert node.qos.label == "reliable" and node.roi == (1, 2, 30, 40) and pipeline.selection.nms_iou == 0.6


@pytest.mark.parametrize(("values", "text"), [
    ({"selection.nms_iou": 2.0}, "nms_iou: expected 0 to 1, got 2.0"),
    ({"qos.label": "fast"}, "label: expected one of sensor_data, reliable, latched"),
    ({"mode": "sometimes"}, "mode: expected one of continuous, on_demand"),
    ({"roi": [0, 0, 5]}, "four whole numbers"),
    ({"roi": [9, 0, 5, 5]}, "x0 < x1"),
    ({"color_topic": ""}, "color_topic: expected the name of a topic"),
    ({"selection.unknown": 1}, "selection.unknown: unknown key"),
    ({"track": 1}, "track: expected true or false"),
])
def test_refusals(values, text):
    with pytest.raises(ConfigError, match=text):
        read_settings(values)


def test_changes_while_running():
    assert check_change(DEFAULTS, {"selection.score_threshold": 0.5}, configured=True) == ""
    assert check_change(DEFAULTS, {"encoding.depth": "off", "track": True}, configured=True) == ""
    assert "expected 0 to 1" in check_change(DEFAULTS, {"selection.score_threshold": 5.0}, configured=True)
    for name, value in (("color_topic", "/other"), ("runtime.threads", 3), ("qos.label", "reliable"),
                        ("encoding.encoders", ["x"]), ("slop_s", 0.1)):
        reason = check_change(DEFAULTS, {name: value}, configured=True)
        assert name in reason and "unconfigured" in reason
        assert check_change(DEFAULTS, {name: value}, configured=False) == ""
        assert check_change(DEFAULTS, {name: DEFAULTS[name]}, configured=True) == ""
    assert check_change(DEFAULTS, {"use_sim_time": True}, configured=True) == ""  # not ours


def test_the_parameter_file_is_the_generated_one():
    assert PARAMS_FILE.read_text() == params_yaml(), "run: uois-sam node --write-params launch/params.yaml"
    tree = yaml.safe_load(PARAMS_FILE.read_text())["/**"]["ros__parameters"]
    assert dict(flat(tree)) == DEFAULTS
