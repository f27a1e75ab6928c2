"""The compact networks: shapes, the two ways to draw a mask, folding, export parity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the train extra")

from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.compact import CompactModel  # noqa: E402
from uois_sam_ros.models.compact_decoder import sample_at  # noqa: E402
from uois_sam_ros.models.layers import fold_batch_norm  # noqa: E402
from uois_sam_ros.models.spec import COMPACT_DECODER, COMPACT_ENCODER, COMPACT_HDNET  # noqa: E402


@pytest.fixture(scope="module")
def model() -> CompactModel:
    torch.manual_seed(0)
    model = CompactModel().eval()
    for module in model.modules():  # batch norms that do something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def features(model):
    with torch.no_grad():
        return model.encoder(torch.randn(1, 13, 96, 112))


def test_size_budget(model):
    assert sum(p.numel() for p in model.parameters()) < 5e6


def test_operation_budget(model):
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad():
        with FlopCounterMode(display=False) as encoder:
            features = model.encoder(torch.zeros(1, 13, 240, 320))
        with FlopCounterMode(display=False) as decoder:
            masks, iou, mask_tokens, iou_token = model.decoder(*features[:4], torch.full((10, 2), 50.0))
            model.hdnet(mask_tokens, iou_token, iou)
    assert encoder.get_total_flops() / 2 < 5e9
    assert decoder.get_total_flops() / 2 / 10 < 0.15e9


@pytest.mark.parametrize("size", [(96, 96), (176, 240), (240, 432)])
def test_shapes_follow_the_spec(model, size):
    h, w = size
    with torch.no_grad():
        features = model.encoder(torch.randn(1, 13, h, w))
        masks, iou, mask_tokens, iou_token = model.decoder(*features[:4], torch.rand(3, 2) * 90)
        scores = model.hdnet(mask_tokens, iou_token, iou)
    letters = {"h": h, "w": w, "M": 3, "H": 3, "C": 128}
    for step in (2, 4, 16):
        letters[f"h/{step}"], letters[f"w/{step}"] = h // step, w // step
    got = [*features, masks, iou, mask_tokens, iou_token, scores]
    specs = [*COMPACT_ENCODER.outputs, *COMPACT_DECODER.outputs, *COMPACT_HDNET.outputs]
    for tensor, spec in zip(got, specs, strict=True):
        for size, dim in zip(tensor.shape, spec.dims, strict=True):
            if isinstance(dim, int) or dim in letters:
                assert size == (dim if isinstance(dim, int) else letters[dim]), spec.name


def test_probabilities_are_probabilities(features):
    for plane in features[3:]:
        assert 0 <= float(plane.min()) and float(plane.max()) <= 1


def test_masks_at_cells_equal_the_full_masks(model, features):
    """Training judges sampled cells, inference draws everything: the same numbers, pixel by pixel."""
    from torch.nn import functional as F

    decoder = model.decoder
    pixel, middle, context = features[:3]
    points = torch.tensor([[[20.0, 30.0], [70.5, 60.0]]])
    with torch.no_grad():
        tokens = decoder.encode_points(pixel, middle, context, points)
        origin = decoder.origins(pixel, points, decoder.unit_points(points, pixel))
        weights = decoder.generate(tokens[:, :, 1:4], origin)
        coarse = decoder.coarse_tensor(pixel, middle)
        full = decoder.full_logits(decoder.coarse_logits(coarse, weights), pixel, weights)
        cells = torch.cat([coarse, F.pixel_unshuffle(pixel[:, :-3], 2)], 1).flatten(2).transpose(1, 2)
        everywhere = decoder.logits_at(cells[:, None].expand(-1, 2, -1, -1), weights)
    rows, cols = middle.shape[-2:]
    # [B, P, H, cells, stride-2 cell, sub-pixel] back to the picture
    picture = everywhere.reshape(1, 6, rows, cols, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
    assert torch.allclose(picture.reshape(full.shape), full, atol=1e-4)


def test_mean_probability_is_that_of_the_mean_logit(model, features):
    from torch.nn import functional as F

    decoder = model.decoder
    pixel, middle, context = features[:3]
    points = torch.tensor([[[33.0, 41.0]]])
    with torch.no_grad():
        tokens = decoder.encode_points(pixel, middle, context, points)
        weights = decoder.generate(tokens[:, :, 1:4], decoder.origins(
            pixel, points, decoder.unit_points(points, pixel)))
        coarse = decoder.coarse_logits(decoder.coarse_tensor(pixel, middle), weights)
        quick = decoder.mean_probabilities(coarse, pixel, weights)
        slow = torch.sigmoid(F.avg_pool2d(decoder.full_logits(coarse, pixel, weights), 4)).flatten(2)
    assert torch.allclose(quick, slow, atol=1e-5)


def test_prompts_do_not_see_one_another(model, features):
    points = torch.rand(6, 2) * 90
    with torch.no_grad():
        together = model.decoder(*features[:4], points)
        alone = model.decoder(*features[:4], points[2:3])
    for many, one in zip(together, alone):
        assert torch.allclose(many[2:3], one, atol=1e-4)


def test_sampling_reads_pixel_centres():
    picture = torch.arange(12.0).reshape(1, 1, 3, 4)
    unit = torch.tensor([[[(2 + 0.5) / 4, (1 + 0.5) / 3]]])
    assert float(sample_at(picture, unit)) == pytest.approx(6.0)


def test_untrained_hdnet_is_the_decoders_own_score(model):
    iou = torch.rand(4, 3)
    with torch.no_grad():
        assert torch.equal(model.hdnet(torch.randn(4, 3, 128), torch.randn(4, 128), iou), iou)


def test_folding_batch_norm_changes_nothing(model):
    import copy

    image = torch.randn(1, 13, 96, 96)
    folded = fold_batch_norm(copy.deepcopy(model))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        for before, after in zip(model.encoder(image), folded.encoder(image)):
            assert torch.allclose(before, after, atol=1e-3)


@pytest.fixture(scope="module", params=["just exported", "shipped"])
def exported(request):
    """ONNX sessions and torch code for one folder: what the short training exported, and what the package ships."""
    import onnxruntime

    from uois_sam_ros.models import load_reference

    folder = Path(__file__).resolve().parents[1] / "engines"
    if request.param == "just exported":
        folder = request.getfixturevalue("trained_run") / "engines"
    elif not (folder / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    names = [spec.name for spec in (COMPACT_ENCODER, COMPACT_DECODER, COMPACT_HDNET)]
    sessions = {name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options, ["CPUExecutionProvider"])
                for name in names}
    return sessions, [load_reference(name, folder) for name in names]


@pytest.mark.parametrize("size,prompts", [((240, 320), 5), ((96, 176), 1), ((240, 432), 40)])
def test_onnx_runtime_equals_torch(exported, size, prompts):
    """The same exported file through both: torch code with its weights, and ONNX Runtime."""
    session, (encoder, decoder, hdnet) = exported
    image, points = torch.randn(1, 13, *size), torch.rand(prompts, 2) * 90
    with torch.no_grad():
        features = encoder(image)
        decoded = decoder(*features[:4], points)
        scores = hdnet(decoded[2], decoded[3], decoded[1])
    run = lambda spec, *tensors: session[spec.name].run(
        list(spec.output_names), dict(zip(spec.input_names, (t.numpy() for t in tensors))))
    for ours, theirs in zip(features, run(COMPACT_ENCODER, image)):
        _close(ours, theirs)
    for ours, theirs in zip(decoded, run(COMPACT_DECODER, *features[:4], points)):
        _close(ours, theirs)
    _close(scores, run(COMPACT_HDNET, decoded[2], decoded[3], decoded[1])[0])


def _close(ours: torch.Tensor, theirs: np.ndarray) -> None:
    scale = max(1.0, float(ours.abs().max()))
    assert np.abs(ours.numpy() - theirs).max() < 1e-4 * scale


def test_exports_hold_no_paths_of_the_machine(trained_run):
    for path in (trained_run / "engines").glob("*.onnx"):
        assert b".py" not in path.read_bytes(), path.name


def test_exported_weights_are_the_trained_ones(trained_run):
    from uois_sam_ros.models import load_reference
    from uois_sam_ros.training.checkpoint import load_checkpoint

    trained = load_checkpoint(trained_run / "run" / "hdnet.pth")["model"]
    exported = load_reference("compact_hdnet", trained_run / "engines").state_dict()
    for name, value in exported.items():
        assert torch.equal(value, trained[f"hdnet.{name}"].half().float()), name


def test_reference_refuses_unknown_names_and_damaged_weights(tmp_path):
    from uois_sam_ros.models import load_reference

    with pytest.raises(ModelError, match="expected one of compact_encoder"):
        load_reference("compact_decodr", tmp_path)
    (tmp_path / "compact_hdnet.onnx").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="re-install the package or export again"):
        load_reference("compact_hdnet", tmp_path)
