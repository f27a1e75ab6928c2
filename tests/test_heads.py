"""HPG and HDNet on frozen features: shapes, starting values, and their checkpoints."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks need the train extra")

from uois_sam_ros.config import preset  # noqa: E402
from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.heads import build_head, head_settings, load_head, save_head  # noqa: E402
from uois_sam_ros.models.networks import example_inputs  # noqa: E402
from uois_sam_ros.models.spec import SPECS, model_spec  # noqa: E402

HPGS = [name for name in SPECS if name.endswith("_hpg")]


@pytest.mark.parametrize("name", HPGS)
def test_hpg_shapes_follow_the_spec(name):
    head = build_head(name).eval()
    spec = model_spec(name)
    with torch.inference_mode():
        maps = head(*example_inputs(spec))
        classes, heat = head.logits(*example_inputs(spec))
    for values, tensor in zip(maps, spec.outputs, strict=True):
        assert tuple(values.shape) == tensor.dims
        assert 0 <= float(values.min()) and float(values.max()) <= 1
    torch.testing.assert_close(maps[0], classes.softmax(dim=1)[:, 1:])
    torch.testing.assert_close(maps[1], heat.sigmoid())


def test_the_upsampler_doubles_and_then_meets_the_size_of_the_maps():
    assert build_head("dinov2_vits14_hpg").settings.sizes == ((48, 64), (96, 128), (192, 256), (336, 448))
    assert build_head("sam_vit_l_hpg").settings.sizes == ((128, 128), (256, 256))
    assert [block.conv.out_channels for block in build_head("dinov2_vits14_hpg").blocks] == [128, 64, 32, 32]


def test_an_untrained_heatmap_prompts_nothing():
    """Where features say nothing, the heatmap lies below the paper's threshold."""
    head = build_head("dinov2_tiny_hpg").eval()
    torch.nn.init.zeros_(head.out.weight)
    with torch.inference_mode():
        _, heatmap = head(torch.randn(1, 96, 24, 32))
    assert float(heatmap.max()) < preset("paper").prompting.heatmap_threshold


def test_untrained_hdnet_is_the_decoders_own_score():
    head = build_head("sam_vit_l_hdnet")
    iou = torch.rand(6, 4)
    assert [layer.weight.shape for layer in head.mlp.layers] == [(256, 512), (256, 256), (1, 256)]
    assert torch.equal(head(torch.randn(6, 4, 256), torch.randn(6, 256), iou), iou)


@pytest.mark.parametrize(("name", "settings"), [
    ("dinov2_tiny_hpg", {}), ("sam_tiny_hpg", {"width": 32, "widths": [16, 8]}), ("sam_tiny_hdnet", {"hidden": 64})])
def test_a_checkpoint_comes_back(tmp_path, name, settings):
    head = build_head(name, **settings)
    with torch.no_grad():
        for value in head.parameters():
            value.normal_()
    save_head(tmp_path / "head.pth", name, head, {"samples": 7})
    loaded, facts = load_head(tmp_path / "head.pth", name)
    assert facts == {"samples": 7} and not loaded.training
    assert head_settings(loaded) == head_settings(head) and settings.items() <= head_settings(head).items()
    inputs = [torch.randn_like(tensor) for tensor in example_inputs(model_spec(name))]
    with torch.inference_mode():
        ours, theirs = head.eval()(*inputs), loaded(*inputs)
    for a, b in zip(ours, theirs):
        assert torch.equal(a, b)


def test_heads_for_other_features_are_refused(tmp_path):
    path = tmp_path / "head.pth"
    save_head(path, "sam_vit_l_hdnet", build_head("sam_vit_l_hdnet"))
    with pytest.raises(ModelError, match="expected sam_vit_b_hdnet, got sam_vit_l_hdnet; give the file"):
        load_head(path, "sam_vit_b_hdnet")
    torch.save({"format": 1, "model": {}}, path)
    with pytest.raises(ModelError, match="expected dinov2_tiny_hpg, got a training checkpoint of this package"):
        load_head(path, "dinov2_tiny_hpg")


@pytest.mark.parametrize(("change", "words"), [
    (lambda content: content["state"].pop("mlp.layers.0.bias"), "the weights of sam_tiny_hdnet, got: .*Missing"),
    (lambda content: content.pop("state"), "expected the weights of sam_tiny_hdnet, got: 'state'"),
    (lambda content: content["settings"].update(depth=9), "expected the settings of this network, got .*depth"),
])
def test_odd_checkpoints_are_refused(tmp_path, change, words):
    path = tmp_path / "head.pth"
    save_head(path, "sam_tiny_hdnet", build_head("sam_tiny_hdnet"))
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    with pytest.raises(ModelError, match=words):
        load_head(path, "sam_tiny_hdnet")


@pytest.mark.parametrize("name", ["sam_vit_l_decoder", "compact_hdnet", "nothing"])
def test_there_is_no_such_head(name):
    with pytest.raises(ModelError, match="expected"):
        build_head(name)
