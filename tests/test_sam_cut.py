"""SAM on the upper part of its square: the official modules, fewer rows, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the train extra")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything is not installed", allow_module_level=True)

from uois_sam_ros import Frame, Segmenter  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.errors import FrameError  # noqa: E402
from uois_sam_ros.example import box_scene  # noqa: E402
from uois_sam_ros.models import load_reference  # noqa: E402
from uois_sam_ros.models.networks import example_inputs  # noqa: E402
from uois_sam_ros.models.sam import SamPromptDecoder, build_sam, load_sam  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.runtime.factory import load_model  # noqa: E402
from uois_sam_ros.runtime.manifest import write_entry  # noqa: E402
from uois_sam_ros.runtime.torch_backend import TorchModel  # noqa: E402
from uois_sam_ros.training.export_preset import random_network  # noqa: E402

CELLS, ROWS = 32, 24  # of the small stand-in: its square, and the rows of a 4:3 picture
NAME = "paper-tiny-4x3"
UNCUT = ("dinov2_tiny_encoder", "dinov2_tiny_hpg", "sam_tiny_hdnet")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The stand-in with a value in every weight: position embeddings and tables start at zero."""
    torch.manual_seed(0)
    sam = build_sam("tiny")
    with torch.no_grad():
        for value in sam.parameters():
            value.add_(0.05 * torch.randn_like(value))
    path = tmp_path_factory.mktemp("sam") / "sam.pth"
    torch.save(sam.state_dict(), path)
    return path


def test_the_blocks_are_those_of_the_square_that_ignore_its_rest(checkpoint, monkeypatch):
    """SAM on the whole square, with the rest's keys masked out. Its windows of 8 do not straddle row 24."""
    whole, part = load_sam(checkpoint, "tiny"), load_sam(checkpoint, "tiny_4x3")
    names = type(whole.image_encoder.blocks[0].attn).forward.__globals__
    add = names["add_decomposed_rel_pos"]

    def masked(attention, query, rel_h, rel_w, q_size, k_size):
        attention = add(attention, query, rel_h, rel_w, q_size, k_size)
        if k_size == (CELLS, CELLS):
            attention = attention.clone()
            attention[..., ROWS * CELLS:] = -torch.inf
        return attention

    seen = []
    for sam in (whole, part):
        sam.image_encoder.blocks[-1].register_forward_hook(lambda block, inputs, output: seen.append(output))
    image = torch.randn(1, 3, 16 * CELLS, 16 * CELLS)
    with torch.inference_mode():
        part.image_encoder(image[:, :, :16 * ROWS])
        monkeypatch.setitem(names, "add_decomposed_rel_pos", masked)
        whole.image_encoder(image)
    torch.testing.assert_close(seen[0], seen[1][:, :ROWS], atol=1e-4, rtol=1e-4)


def test_the_decoder_is_the_official_one_with_cut_positions(checkpoint):
    whole, part = load_sam(checkpoint, "tiny"), load_sam(checkpoint, "tiny_4x3")
    embedding, points = torch.randn(1, 256, ROWS, CELLS), torch.tensor([[10.0, 12.0], [100.5, 80.0]])
    prompts = whole.prompt_encoder
    with torch.inference_mode():
        masks, iou, _, _ = SamPromptDecoder(part)(embedding, points)
        for index, point in enumerate(points):
            sparse, dense = prompts(points=((4 * (point + 0.5) - 0.5)[None, None], torch.ones(1, 1)), boxes=None,
                                    masks=None)
            theirs, score = whole.mask_decoder.predict_masks(
                image_embeddings=embedding, image_pe=prompts.get_dense_pe()[:, :, :ROWS],
                sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense[:, :, :ROWS])
            torch.testing.assert_close(masks[index], theirs[0], atol=1e-3, rtol=1e-4)
            torch.testing.assert_close(iou[index], score[0], atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def models(checkpoint, tmp_path_factory):
    """SAM's two networks as the command exports them; the manifest has the other ones, which are not cut, already."""
    pytest.importorskip("onnxscript", reason="export needs the train extra")
    from uois_sam_ros.training.export_preset import export_preset

    out = tmp_path_factory.mktemp("models")
    for name in UNCUT:
        (out / f"{name}.onnx").write_bytes(b"-")
        write_entry(out, name, f"{name}.onnx")
    export_preset(NAME, {"sam": checkpoint}, out)
    return out


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_onnx_equals_torch(models, part):
    name = f"sam_tiny_4x3_{part}"
    spec = model_spec(name)
    runtime = update(preset(NAME), {"runtime": {"model_dir": str(models), "threads": 1}}).runtime
    inputs = [torch.rand_like(tensor) * 90 for tensor in example_inputs(spec, prompts=3)]
    outputs = load_model(name, runtime).run({tensor: value.numpy() for tensor, value in zip(spec.input_names, inputs)})
    with torch.inference_mode():
        expected = load_reference(name, models)(*inputs)
    for tensor, value in zip(spec.outputs, expected if isinstance(expected, tuple) else (expected,), strict=True):
        assert tuple(value.shape) == tuple(3 if dim == "M" else dim for dim in tensor.dims)
        np.testing.assert_allclose(outputs[tensor.name], value.numpy(), rtol=0, atol=1e-4 * float(value.abs().max()))


def test_pictures_of_43_and_wider_are_segmented_and_others_refused(models):
    config = update(preset(NAME), {"runtime": {"model_dir": str(models), "threads": 1}, "prompting": {"max_points": 3},
                                   "selection": {"score_threshold": 0.0, "max_area": 1.0}})
    others = {name: TorchModel(model_spec(name), random_network(name), config.runtime) for name in UNCUT}
    segmenter, frame = Segmenter(config, others), box_scene()[0]
    stages = segmenter.stages(frame)
    assert len(stages.prompts) == 3 and stages.mask_set.low_res_masks.shape[2:] == (96, 128)
    wide = Frame(np.ascontiguousarray(frame.color[:360]))
    stages = segmenter.stages(wide)
    assert stages.mask_set.low_res_masks.shape[2:] == (72, 128) and stages.instances.label.shape == (360, 640)
    with pytest.raises(FrameError, match="because SAM was cut to that, got 480x640"):
        segmenter.segment(Frame(np.ascontiguousarray(frame.color.transpose(1, 0, 2))))


def test_the_benchmark_tells_what_the_cut_changes(tmp_path):
    root = Path(__file__).parents[1]
    recording = root / "uois_sam_ros/demo/tabletop.mcap"
    done = subprocess.run([sys.executable, root / "benchmarks/sam_padding.py", recording, "--variant", "tiny", "--frames",
                           "2", "--json", tmp_path / "padding.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "padding.json").read_text())
    assert figures["frames"] == 2 and figures["clicks"] > 10
    assert 0 < figures["embedding_error"] < 0.5 and figures["weights"] == "fresh"
