"""DINOv2: the same numbers as the official code, whose outputs were recorded, and its checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the train extra")

from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.dinov2 import Dinov2, Dinov2Shape, at_grid, build_dinov2, load_dinov2  # noqa: E402

#: Outputs of the official DinoVisionTransformer (facebookresearch/dinov2 b8931f7), weights and pictures from ``fill``.
RECORDED = np.load(Path(__file__).with_name("dinov2_reference.npz"))


def fill(model, seed):
    """Give every parameter, in alphabetical order, values of numpy's frozen legacy generator."""
    random = np.random.RandomState(seed)
    state = model.state_dict()
    for key in sorted(state):
        state[key] = torch.tensor(0.3 * random.standard_normal(tuple(state[key].shape)), dtype=torch.float32)
    model.load_state_dict(state)
    return model.eval()


def pictures():
    random, shapes = np.random.RandomState(1), ((1, 3, 56, 84), (1, 3, 70, 70))
    return [torch.tensor(random.standard_normal(shape), dtype=torch.float32) for shape in shapes]


@pytest.mark.parametrize(("index", "name"), [(0, "features_4x6"), (1, "features_5x5")])
def test_features_are_the_official_ones(index, name):
    model = fill(Dinov2(Dinov2Shape(24, 2, 2), grid=(5, 5)), 0)
    with torch.inference_mode():
        features = model(pictures()[index])
    np.testing.assert_allclose(features.numpy(), RECORDED[name], atol=1e-5)


@pytest.mark.parametrize("patches", [(24, 32), (16, 30), (40, 40)])
def test_positions_are_the_official_ones(patches):
    model = fill(Dinov2(Dinov2Shape(2, 1, 1)), 2)
    with torch.inference_mode():
        positions = model.positions(patches)
    np.testing.assert_allclose(positions.numpy(), RECORDED[f"positions_{patches[0]}x{patches[1]}"], atol=1e-6)


def test_the_offset_matters():
    """Without it the positions differ by more than the tolerance above: the comparison is no empty one."""
    model = fill(Dinov2(Dinov2Shape(2, 1, 1)), 2)
    table = model.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (37, 37))
    plain = torch.nn.functional.interpolate(table, size=(24, 32), mode="bicubic").flatten(2).transpose(1, 2)
    assert np.abs(plain.detach().numpy() - RECORDED["positions_24x32"][:, 1:]).max() > 1e-3


def test_fixed_positions_change_nothing():
    model = fill(build_dinov2("tiny"), 3)
    image = torch.randn(1, 3, 336, 448)
    with torch.inference_mode():
        torch.testing.assert_close(at_grid(model)(image), model(image))


def test_an_official_checkpoint_has_neither_missing_nor_unexpected_keys(tmp_path):
    model = fill(build_dinov2("vits14"), 4)
    assert len(model.state_dict()) == 175 and sum(p.numel() for p in model.parameters()) == 22_056_576
    assert tuple(model.pos_embed.shape) == (1, 1370, 384)
    torch.save(model.state_dict(), tmp_path / "dinov2.pth")
    loaded = load_dinov2(tmp_path / "dinov2.pth", "vits14")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())


def test_wrong_variants_are_told_by_name(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(build_dinov2("tiny").state_dict(), path)
    with pytest.raises(ModelError, match="this is tiny, the preset wants ViT-S/14"):
        load_dinov2(path, "vits14")
    state = {key: torch.zeros(1).expand(value.shape) for key, value in build_dinov2("vits14").state_dict().items()}
    torch.save({**state, "register_tokens": torch.zeros(1, 4, 384)}, path)
    with pytest.raises(ModelError, match="this is ViT-S/14 with registers, the preset wants ViT-S/14"):
        load_dinov2(path, "vits14")
    with pytest.raises(ModelError, match="expected one of vits14, tiny, got 'vitb14'"):
        load_dinov2(path, "vitb14")
