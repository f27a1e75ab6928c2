"""Presets, ranges, the YAML loader and its refusals."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from uois_sam_ros.config import DEPTH_TERMS, PRESETS, SegmenterConfig, check, load_config, preset, update
from uois_sam_ros.errors import ConfigError


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_valid(name):
    check(preset(name))


def test_preset_methods():
    assert preset("geometry").method == "geometry"
    assert preset("compact-grid").prompting.strategy == "grid"
    assert preset("compact") == SegmenterConfig()


def test_paper_presets_hold_the_papers_constants():
    for name, sam in (("paper", "vit_l"), ("paper-b", "vit_b"), ("paper-h", "vit_h"), ("shared", "vit_l")):
        config = preset(name)
        assert config.encoding.encoders[0] == f"sam_{sam}_encoder"
        assert config.encoding.encoders[-1] == (f"sam_{sam}_hpg" if name == "shared" else "dinov2_vits14_hpg")
        assert (config.decoding.decoder, config.rescoring.rescorer) == (f"sam_{sam}_decoder", f"sam_{sam}_hdnet")
        prompting, selection = config.prompting, config.selection
        assert (prompting.foreground_threshold, prompting.heatmap_threshold) == (0.85, 0.007)
        assert (prompting.peak_window, prompting.max_points, prompting.coverage_points) == (3, 30, 0)
        assert (selection.score_threshold, selection.nms_iou, selection.max_area) == (0.48, 0.3, 0.13)


def test_paper_uses_no_depth_and_paper_depth_differs_by_it_alone():
    paper, depth = preset("paper"), preset("paper-depth")
    assert (paper.prompting.depth_prior, paper.rescoring.depth_weight, paper.selection.plane_veto) == (0, 0, False)
    assert (paper.selection.min_size_m, paper.selection.max_size_m) == (0, 10)
    assert update(paper, DEPTH_TERMS) == depth != paper


def test_unknown_preset_lists_the_known():
    words = "compact, compact-grid, geometry, .*paper.*, got 'compcat'.*did you mean 'compact'"
    with pytest.raises(ConfigError, match=words):
        preset("compcat")


@pytest.mark.parametrize("values, words", [
    ({"selecton": {}}, "selecton: unknown key.*did you mean 'selection'"),
    ({"selection": {"nms_iuo": 0.3}}, "selection.nms_iuo: unknown key.*'nms_iou'"),
    ({"selection": {"nms_iou": 1.5}}, "selection.nms_iou: expected 0 to 1, got 1.5"),
    ({"prompting": {"strategy": "random"}}, "prompting.strategy: expected one of hpg, grid"),
    ({"prompting": {"max_points": "many"}}, "prompting.max_points: expected a whole number, got 'many'"),
    ({"prompting": {"max_points": 2.5}}, "prompting.max_points: expected a whole number, got 2.5"),
    ({"selection": {"min_area": 0.6}}, "min_area: expected at most max_area"),
    ({"encoding": {"short_side": 500}}, "short_side: expected at most long_side"),
    ({"runtime": {"providers": [1]}}, "runtime.providers: expected a list of str"),
    ({"runtime": {"providers": "CUDAExecutionProvider"}}, "runtime.providers: expected a list"),
    ({"selection": {"plane_veto": 1}}, "selection.plane_veto: expected true or false, got 1"),
    ({"prompting": {"max_points": True}}, "prompting.max_points: expected a whole number, got True"),
    ({"selection": 3}, "selection: expected a mapping, got int"),
    ({"encoding": {"depth": "maybe"}}, "encoding.depth: expected one of auto, off, require"),
])
def test_update_refuses(values, words):
    with pytest.raises(ConfigError, match=words):
        update(SegmenterConfig(), values)


def test_update_changes_only_what_it_names():
    changed = update(SegmenterConfig(),
                     {"selection": {"score_threshold": 1}, "encoding": {"encoders": ["a"]}})
    assert changed.selection.score_threshold == 1.0
    assert isinstance(changed.selection.score_threshold, float)
    assert changed.encoding.encoders == ("a",)
    assert changed.prompting == SegmenterConfig().prompting


def test_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        SegmenterConfig().method = "geometry"


def test_every_setting_has_help():
    def walk(config):
        for spec in fields(config):
            value = getattr(config, spec.name)
            if is_dataclass(value):
                walk(value)
            else:
                assert spec.metadata.get("help"), spec.name
    walk(SegmenterConfig())


def test_load_config(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("preset: compact-grid\nselection:\n  score_threshold: 0.6\n")
    config = load_config(path)
    assert config.prompting.strategy == "grid" and config.selection.score_threshold == 0.6
    path.write_text("")
    assert load_config(path) == preset("compact")


@pytest.mark.parametrize("text, words", [
    ("a: [", "expected readable YAML"),
    ("- a\n- b\n", "expected a mapping, got list"),
    ("preset: nothing\n", "preset: expected one of"),
    ("speed: 3\n", "speed: unknown key"),
])
def test_load_config_refuses(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(path)


def test_load_config_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="none.yaml: expected readable YAML, got: .*No such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("content, words", [
    (b"preset: [compact]", "preset: expected a name"), (b"3: 4", "3: unknown key"), (b"\xff\xfe\x00", "readable YAML"),
])
def test_odd_yaml_is_refused(tmp_path, content, words):
    (tmp_path / "odd.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_config(tmp_path / "odd.yaml")


def test_sam_without_padding_is_the_same_preset_with_other_networks():
    cut = preset("paper-b-4x3")
    assert cut.encoding.encoders == ("sam_vit_b_4x3_encoder", "dinov2_vits14_encoder", "dinov2_vits14_hpg")
    assert cut.decoding.decoder == "sam_vit_b_4x3_decoder" and cut.rescoring.rescorer == "sam_vit_b_hdnet"
    back = {"encoding": {"encoders": preset("paper-b").encoding.encoders}, "decoding": {"decoder": "sam_vit_b_decoder"}}
    assert update(cut, back) == preset("paper-b")


@pytest.mark.parametrize("name, message", [
    ("shared-4x3", "prompts come from another network with -4x3, got sam_vit_l_hpg; use paper"),
    ("compact-4x3", "got 'compact-4x3'"), ("-4x3", "got '-4x3'")])
def test_presets_that_cannot_do_without_padding(name, message):
    with pytest.raises(ConfigError, match=message):
        preset(name)
