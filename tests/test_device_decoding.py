"""Decoding and rescoring on the device against the numpy stages: compact networks as shipped, SAM's small stand-in."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")

from ondevice import DEVICES, device_features, device_geometry, device_masks, device_prompts  # noqa: E402
from tabletop import tabletop  # noqa: E402

from uois_sam_ros.config import DecodingConfig, EncodingConfig, RescoringConfig, RuntimeConfig  # noqa: E402
from uois_sam_ros.decoding import Decoder  # noqa: E402
from uois_sam_ros.device.decode import DeviceDecoder  # noqa: E402
from uois_sam_ros.device.precision import in_precision  # noqa: E402
from uois_sam_ros.device.rescore import DeviceRescorer, depth_consistency, mean_foreground  # noqa: E402
from uois_sam_ros.encoding.encode import Encoder  # noqa: E402
from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.networks import build_network, load_reference  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.rescoring import make_rescorer  # noqa: E402
from uois_sam_ros.rescoring.depth import depth_consistency as host_depth_consistency  # noqa: E402
from uois_sam_ros.rescoring.foreground import mean_foreground as host_mean_foreground  # noqa: E402
from uois_sam_ros.runtime.torch_backend import TorchModel  # noqa: E402
from uois_sam_ros.types import Features, Grid, Prompts  # noqa: E402

ENGINES = Path(__file__).parents[1] / "engines"
RUNTIME = RuntimeConfig(threads=1)
TINY = Grid((96, 128), (96, 128), (96, 128))


def prompts_on(grid, count, seed=0, foreground=None):
    rng = np.random.default_rng(seed)
    points = rng.uniform((4, 4), (grid.resized_hw[1] - 5, grid.resized_hw[0] - 5), (count, 2)).astype(np.float32)
    return Prompts(points, np.linspace(0.9, 0.1, count, dtype=np.float32), foreground)


@pytest.fixture(scope="module")
def compact():
    """Spec name -> model, and the features of two scenes on a 96x128 grid."""
    if not (ENGINES / "compact_encoder.onnx").exists():
        pytest.skip("engines/ holds no models")
    models = {name: TorchModel(model_spec(name), load_reference(name, ENGINES), RUNTIME)
              for name in ("compact_encoder", "compact_decoder", "compact_hdnet")}
    encode = Encoder(EncodingConfig(short_side=96, long_side=128), [models["compact_encoder"]])
    frames = [tabletop(noise_m=0.001, seed=seed)[0] for seed in (0, 1)]
    return models, [encode(frames[0]), encode(frames[1].without_depth())]


@pytest.fixture(scope="module")
def sam():
    """Spec name -> model with random weights, and two embeddings."""
    if importlib.util.find_spec("segment_anything") is None:
        pytest.skip("segment-anything is not installed")
    torch.manual_seed(0)
    name = "sam_tiny_decoder"
    models = {name: TorchModel(model_spec(name), _random(name), RUNTIME)}
    rng = np.random.default_rng(0)
    grid = Grid((96, 128), (96, 128), (96, 128))
    return models, [Features(grid, {"image_embedding": rng.standard_normal((1, 256, 32, 32)).astype(np.float32)})
                    for _ in range(2)]


def _random(name):
    network = build_network(name)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.02 * torch.randn_like(value))
    return network


@pytest.fixture(params=["compact", "sam"])
def decoder_case(request):
    models, features = request.getfixturevalue(request.param)
    name = {"compact": "compact_decoder", "sam": "sam_tiny_decoder"}[request.param]
    return models[name], features


def close(ours, theirs, limit=1e-4):
    ours = ours.cpu().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) <= limit * max(1e-6, np.abs(theirs).max(initial=0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [64, 4])
def test_decoding_of_two_cameras(decoder_case, device, batch):
    """Different numbers of prompts in as many places; runs of all places together, and of two places at a time."""
    model, features = decoder_case
    prompts = [prompts_on(features[0].grid, 5), prompts_on(features[0].grid, 3, seed=1)]
    decode = DeviceDecoder(DecodingConfig(batch=batch), model.module.to(device), model.spec)
    with torch.inference_mode():
        found = decode(device_features(features, device), device_prompts(prompts, 6, device))
    model.module.to("cpu")
    host = Decoder(DecodingConfig(), model)
    for camera, (feature, given) in enumerate(zip(features, prompts)):
        expected, count = host(feature, given), len(given)
        for name in ("low_res_masks", "iou_predictions", "mask_tokens", "iou_token", "scores"):
            close(getattr(found, name)[camera, :count], getattr(expected, name))
        assert (found.scores[camera, count:] == -1).all() and not found.valid[camera, count:].any()
    everything = (found.low_res_masks, found.iou_predictions, found.mask_tokens, found.iou_token)
    assert all(torch.isfinite(values).all() for values in everything)


def test_no_prompts_at_all(decoder_case):
    model, features = decoder_case
    decode = DeviceDecoder(DecodingConfig(), model.module, model.spec)
    with torch.inference_mode():
        found = decode(device_features(features, "cpu"), device_prompts([prompts_on(TINY, 0)] * 2, 4, "cpu"))
    assert found.low_res_masks.shape[:2] == (2, 4) and (found.scores == -1).all()


def test_refusals(compact):
    models, features = compact
    decode = DeviceDecoder(DecodingConfig(), models["compact_decoder"].module, models["compact_decoder"].spec)
    prompts = device_prompts([prompts_on(TINY, 2)], 2, "cpu")
    bare = device_features([Features(features[0].grid, {"pixel": features[0]["pixel"]})], "cpu")
    with pytest.raises(ModelError, match="the encoders made no middle, context, foreground; list the encoder"):
        decode(bare, prompts)
    wrong = device_features([Features(Grid((90, 90), (90, 90), (90, 90)), dict(features[0].maps))], "cpu")
    with pytest.raises(ModelError, match=r"expected masks of \(90, 90\).*use the encoder and decoder of one model"):
        decode(wrong, prompts)


def test_positions_of_sam_stay_exact_in_reduced_precision(sam):
    """Under autocast a point that moves by a tenth of a pixel still moves the masks."""
    models, features = sam
    torch.manual_seed(0)
    model = models["sam_tiny_decoder"]
    exact, points = model.module, torch.tensor([[[60.0, 40.0], [60.1, 40.0]]])
    reduced = in_precision(_random("sam_tiny_decoder"), "bf16")
    reduced.network.load_state_dict(exact.state_dict())
    embedding = torch.from_numpy(features[0]["image_embedding"].copy())
    with torch.inference_mode():
        expected, found = (network.batched(embedding, points)[0] for network in (exact, reduced))
        embedded = exact.embed_points(points[0])
        with torch.autocast("cpu", torch.bfloat16):
            rounded = exact.embed_points(points[0])
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 0.05 * expected.abs().max()
    assert (found[0, 0] != found[0, 1]).any() and (rounded - embedded).abs().max() > 0.01


@pytest.mark.parametrize("weights", [
    {}, {"hdnet_weight": 0.3}, {"strategy": "decoder"}, {"foreground_weight": 0.5}, {"depth_weight": 0.7},
    {"foreground_weight": 1.0, "depth_weight": 1.0}])
@pytest.mark.parametrize("device", DEVICES)
def test_rescoring(compact, device, weights):
    """One camera with depth and one without."""
    models, features = compact
    config, model = RescoringConfig(**weights), models["compact_hdnet"]
    prompts = [prompts_on(f.grid, count, foreground=_foreground(f)) for f, count in zip(features, (6, 4))]
    decoded = [Decoder(DecodingConfig(), models["compact_decoder"])(f, p) for f, p in zip(features, prompts)]
    refines = config.strategy == "hdnet"
    rescore = DeviceRescorer(config, model.module.to(device) if refines else None, model.spec if refines else None)
    with torch.inference_mode():
        found, settled = rescore(device_features(features, device), device_prompts(prompts, 7, device),
                                 device_masks(decoded, 7, device), 16)
    model.module.to("cpu")
    assert bool(settled)
    host = make_rescorer(config, model if refines else None)
    for camera, (feature, given, masks) in enumerate(zip(features, prompts, decoded)):
        close(found.scores[camera, :len(given)], host(feature, given, masks).scores)
        assert (found.scores[camera, len(given):] == -1).all()


def _foreground(features):
    values = features["foreground"][0, 0]
    return np.repeat(np.repeat(values, 2, 0), 2, 1)


def speckles(count, hw, seed=0):
    """Masks from single pixels to everything, and an empty one."""
    rng = np.random.default_rng(seed)
    shares = np.linspace(-0.01, 1, count)
    return np.where(rng.random((count, 2, *hw)) < shares[:, None, None, None], np.float32(3), np.float32(-3))


@pytest.mark.parametrize("device", DEVICES)
def test_mean_foreground(device):
    """Also masks that no second row and column meets: they are looked at pixel by pixel."""
    masks = speckles(12, (45, 61))
    masks[1], masks[2] = -3, -3
    masks[1, :, 7, 9], masks[2, 0, 30, 4:6] = 3, 3
    foreground = np.random.default_rng(1).random((48, 64)).astype(np.float32)
    found = mean_foreground(torch.from_numpy(masks[None]).to(device) > 0,
                            torch.from_numpy(foreground[None, :45, :61].copy()).to(device))
    close(found[0], host_mean_foreground(masks, foreground, (45, 61)), 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_depth_consistency(compact, device):
    _, (with_depth, _) = compact
    geometry, hw = with_depth.geometry, with_depth.grid.resized_hw
    masks = speckles(10, with_depth.grid.padded_hw, seed=3)
    on_device = device_geometry([geometry, None], device)
    both = torch.from_numpy(np.stack([masks, masks])[..., :hw[0], :hw[1]].copy()).to(device) > 0
    share, settled = depth_consistency(both, on_device, 24)
    expected = host_depth_consistency(masks, geometry, hw)
    assert bool(settled) and expected.min() < 0.5 < expected.max()
    close(share[0], expected, 1e-6)
    assert (share[1] == 1).all()
