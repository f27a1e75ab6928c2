"""SAM: the package's classes without torchvision, its checkpoints, and equality with its own predictor."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the train extra")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything is not installed", allow_module_level=True)

from uois_sam_ros.config import EncodingConfig, preset  # noqa: E402
from uois_sam_ros.encoding.kinds import INPUT_KINDS  # noqa: E402
from uois_sam_ros.encoding.transform import working_grid  # noqa: E402
from uois_sam_ros.errors import BackendError, ModelError  # noqa: E402
from uois_sam_ros.models.dinov2 import build_dinov2  # noqa: E402
from uois_sam_ros.models.sam import SHAPES, SamPromptDecoder, build_sam, load_sam, sam_classes  # noqa: E402
from uois_sam_ros.models.spec import SAM_SIZES, model_spec  # noqa: E402
from uois_sam_ros.types import Frame  # noqa: E402

OFFICIAL = ("vit_b", "vit_l", "vit_h")


def randomise(module, seed=0):
    """Give every weight a value: the package starts its position embeddings at zero."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.02 * torch.randn_like(value))
    return module


@pytest.fixture(scope="module")
def official():
    """The whole package as its users import it; where torchvision is missing, with Pillow in its place."""
    pytest.importorskip("PIL.Image", reason="the predictor resizes with Pillow")
    stubs = {} if importlib.util.find_spec("torchvision") else _torchvision()
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stubs.items():
            patch.setitem(sys.modules, name, module)
        yield importlib.import_module("segment_anything")
    sys.modules.pop("segment_anything")


def _torchvision() -> dict[str, ModuleType]:
    from PIL import Image

    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops",
             "torchvision.ops.boxes")
    modules = {name: ModuleType(name) for name in names}
    functional, boxes = modules[names[2]], modules[names[4]]
    functional.to_pil_image = Image.fromarray
    functional.resize = lambda image, hw: image.resize(hw[::-1], Image.BILINEAR)
    boxes.batched_nms = boxes.box_area = None
    return modules


def test_classes_come_without_torchvision(tmp_path):
    """In a process in which torchvision cannot be imported; and the real package can still be imported afterwards."""
    code = ("import sys\nsys.modules['torchvision'] = None\n"
            "from uois_sam_ros.models.sam import build_sam, sam_classes\n"
            "assert sam_classes().Sam and build_sam('tiny')\n"
            "assert 'segment_anything' not in sys.modules\n"
            "try:\n    import segment_anything\n"
            "except ImportError as error:\n    assert 'torchvision' in str(error), error\n"
            "else:\n    raise AssertionError('torchvision was blocked')\n"
            "assert sam_classes().Sam")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "segment_anything", raising=False)
    with pytest.raises(BackendError, match="pip install segment-anything==1.0"):
        sam_classes()


@pytest.mark.parametrize("variant", OFFICIAL)
def test_variants_have_the_official_keys_and_shapes(official, variant):
    with torch.device("meta"):
        theirs = official.sam_model_registry[variant]().state_dict()
        ours = build_sam(variant).state_dict()
    assert list(ours) == list(theirs)
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
    assert SAM_SIZES[variant] == 1024


@pytest.mark.parametrize("variant", ["tiny", "vit_b"])
def test_equals_the_official_predictor(official, variant, tmp_path):
    """Same random weights, same picture, same clicks: input, embedding, all four masks, IoU and tokens.

    Of ViT-B's twelve blocks only the first is run, to save time; all four of the small network are.
    """
    sam = randomise(build_sam("tiny") if variant == "tiny" else official.sam_model_registry[variant]())
    torch.save(sam.state_dict(), tmp_path / "sam.pth")
    ours = load_sam(tmp_path / "sam.pth", variant)
    for model in (sam, ours) if variant == "vit_b" else ():
        model.image_encoder.blocks = model.image_encoder.blocks[:1]
    seen = {}
    sam.image_encoder.register_forward_pre_hook(lambda module, inputs: seen.update(image=inputs[0]))
    sam.mask_decoder.transformer.register_forward_hook(lambda module, inputs, output: seen.update(hidden=output[0]))
    frame = Frame(np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8))
    predictor = official.SamPredictor(sam)
    predictor.set_image(frame.color)

    side = SAM_SIZES[variant]
    grid = working_grid((120, 160), EncodingConfig(short_side=side // 4, long_side=side // 4, multiple=4))
    image = torch.from_numpy(INPUT_KINDS["sam"].build(frame, grid, None, None))
    assert torch.equal(image, seen["image"])
    points = torch.tensor([[10.0, 12.0], [side / 8 + 0.25, side / 10], [side / 4 - 1, side / 6]])
    with torch.inference_mode():
        embedding = ours.image_encoder(image)
        masks, iou, mask_tokens, iou_token = SamPromptDecoder(ours)(embedding, points)
    torch.testing.assert_close(embedding, predictor.features, atol=1e-5, rtol=1e-5)
    for index, point in enumerate(points.numpy()):
        native = (4 * (point + 0.5) - 0.5) * 160 / side  # the predictor only scales what it is given
        answers = [predictor.predict(native[None], np.array([1]), multimask_output=several, return_logits=True)
                   for several in (False, True)]
        _close(masks[index], np.concatenate([low_res for _, _, low_res in answers]))
        _close(iou[index], np.concatenate([score for _, score, _ in answers]))
        _close(iou_token[index], seen["hidden"][0, 0])
        _close(mask_tokens[index], seen["hidden"][0, 1:5])


def _close(ours, theirs):
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), atol=1e-4 * max(1.0, float(ours.abs().max())), rtol=0)


def test_prompts_do_not_see_one_another():
    sam = randomise(build_sam("tiny"))
    decoder, embedding, points = SamPromptDecoder(sam), torch.randn(1, 256, 32, 32), torch.rand(7, 2) * 100
    with torch.inference_mode():
        for many, one in zip(decoder(embedding, points), decoder(embedding, points[3:4])):
            torch.testing.assert_close(many[3:4], one, atol=1e-4, rtol=1e-4)


def test_shapes_follow_the_spec():
    sam, spec = build_sam("tiny"), model_spec("sam_tiny_decoder")
    with torch.inference_mode():
        embedding = sam.image_encoder(torch.zeros(1, 3, 512, 512))
        outputs = SamPromptDecoder(sam)(embedding, torch.zeros(3, 2))
    assert tuple(embedding.shape) == model_spec("sam_tiny_encoder").outputs[0].dims
    for output, tensor in zip(outputs, spec.outputs, strict=True):
        assert tuple(output.shape) == tuple(3 if dim == "M" else dim for dim in tensor.dims), tensor.name


def meta_state(variant):
    with torch.device("meta"):
        return build_sam(variant).state_dict()


def test_a_saved_checkpoint_loads_back(tmp_path):
    sam = build_sam("tiny")
    torch.save(sam.state_dict(), tmp_path / "sam.pth")
    state = load_sam(tmp_path / "sam.pth", "tiny").state_dict()
    assert all(torch.equal(state[key], value) for key, value in sam.state_dict().items())
    assert list(state) == list(sam.state_dict())


def test_a_vit_l_checkpoint_has_neither_missing_nor_unexpected_keys(tmp_path):
    """Keys and shapes alone: stored as one number a tensor, stretched."""
    state = {key: torch.zeros(1).expand(value.shape) for key, value in meta_state("vit_l").items()}
    torch.save(state, tmp_path / "sam.pth")
    sam = load_sam(tmp_path / "sam.pth", "vit_l")
    assert len(sam.state_dict()) == 482 and sum(value.numel() for value in sam.parameters()) == 312_342_832


@pytest.mark.parametrize(("given", "wanted"), [("vit_b", "vit_l"), ("vit_h", "vit_b"), ("vit_l", "vit_h"),
                                               ("tiny", "vit_b"), ("vit_b", "tiny")])
def test_wrong_variant_is_told_by_name(given, wanted, tmp_path):
    torch.save({key: torch.zeros(1).expand(value.shape) for key, value in meta_state(given).items()},
               tmp_path / "sam.pth")
    titles = {"vit_b": "ViT-B", "vit_l": "ViT-L", "vit_h": "ViT-H", "tiny": "tiny"}
    with pytest.raises(ModelError, match=f"this is {titles[given]}, the preset wants {titles[wanted]}"):
        load_sam(tmp_path / "sam.pth", wanted)


@pytest.mark.parametrize(("change", "words"), [
    (lambda state: build_dinov2("tiny").state_dict(), "expected SAM tiny, got DINOv2 tiny"),
    (lambda state: {"model": state}, "got a wrapped checkpoint"),
    (lambda state: {"model": {"image_encoder.trunk.pos_embed": torch.zeros(1)}}, "got SAM 2"),
    (lambda state: {"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(1)}, "got MobileSAM"),
    (lambda state: {**state, "mask_decoder.hf_token.weight": torch.zeros(1, 256)}, "got SAM-HQ"),
    (lambda state: {"a": torch.zeros(1), "b": torch.zeros(1)}, r"got an unknown network with 2 entries \(a, b\)"),
    (lambda state: {k: v for k, v in state.items() if "iou_token" not in k},
     r"got 1 missing \(mask_decoder.iou_token.weight\) and 0 unexpected \(none\)"),
    (lambda state: {**state, "extra": torch.zeros(1)}, r"0 missing \(none\) and 1 unexpected \(extra\)"),
    (lambda state: {**state, "mask_decoder.iou_token.weight": torch.zeros(2, 256)},
     r"mask_decoder.iou_token.weight \(2, 256\) instead of \(1, 256\)"),
    (lambda state: {k: v for k, v in state.items() if "blocks.3." not in k}, "a SAM of 96 channels and 3 blocks"),
    (lambda state: [1, 2], "expected a mapping of names to tensors, got list"),
])
def test_other_checkpoints_are_refused(change, words, tmp_path):
    torch.save(change(build_sam("tiny").state_dict()), tmp_path / "x.pth")
    with pytest.raises(ModelError, match=words):
        load_sam(tmp_path / "x.pth", "tiny")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "code", "missing", "folder"])
def test_unreadable_checkpoints_are_refused(damage, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(build_sam("tiny").state_dict(), path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200_000])
    elif damage == "code":
        torch.save({"model": preset}, path)  # a function: loading it would run code
    elif damage in ("missing", "folder"):
        path.unlink()
        path.mkdir() if damage == "folder" else None
    else:
        path.write_bytes(b"" if damage == "empty" else b"<html>not found</html>")
    words = {"missing": "expected a file, got none", "folder": "expected a file, got a folder"}
    with pytest.raises(ModelError, match=words.get(damage, "it is truncated or no checkpoint: get it again")):
        load_sam(path, "tiny")


def test_unknown_variant():
    with pytest.raises(ModelError, match="expected one of vit_b, vit_l, vit_h, tiny, got 'vit_x'"):
        build_sam("vit_x")
    assert set(SHAPES) == set(SAM_SIZES)
