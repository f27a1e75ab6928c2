"""From checkpoints to a running paper preset: the command, the files, both backends, and the whole pipeline."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything is not installed", allow_module_level=True)

from uois_sam_ros import Segmenter  # noqa: E402
from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.errors import ConfigError, ModelError  # noqa: E402
from uois_sam_ros.example import box_scene  # noqa: E402
from uois_sam_ros.models import load_reference  # noqa: E402
from uois_sam_ros.models.dinov2 import build_dinov2  # noqa: E402
from uois_sam_ros.models.heads import build_head, save_head  # noqa: E402
from uois_sam_ros.models.networks import example_inputs  # noqa: E402
from uois_sam_ros.models.sam import build_sam  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.runtime.factory import load_model  # noqa: E402
from uois_sam_ros.runtime.manifest import Manifest  # noqa: E402
from uois_sam_ros.training.export_preset import export_preset, networks_of  # noqa: E402

NAMES = networks_of(preset("paper-tiny"))
FORGIVING = {"selection": {"score_threshold": 0.0, "max_area": 1.0, "nms_iou": 0.9}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Checkpoints of the small stand-ins whose every weight has a value; the HPG sees foreground everywhere."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    networks = {"sam": build_sam("tiny"), "dinov2": build_dinov2("tiny"), "hpg": build_head("dinov2_tiny_hpg"),
                "hdnet": build_head("sam_tiny_hdnet")}
    with torch.no_grad():
        for network in networks.values():
            for value in network.parameters():
                value.add_(0.03 * torch.randn_like(value))
        networks["hpg"].out.bias.copy_(torch.tensor([0.0, 6.0, 0.0]))
    paths = {name: folder / f"{name}.pth" for name in networks}
    for name in ("sam", "dinov2"):
        torch.save(networks[name].state_dict(), paths[name])
    save_head(paths["hpg"], "dinov2_tiny_hpg", networks["hpg"], {"samples": 5})
    save_head(paths["hdnet"], "sam_tiny_hdnet", networks["hdnet"])
    return paths


@pytest.fixture(scope="module")
def models(files, tmp_path_factory):
    """The model folder that the command makes from them."""
    out = tmp_path_factory.mktemp("models")
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert main(["export", "--preset", "paper-tiny", *options, "--out", str(out)]) == 0
    return out


def config(folder, backend="onnxruntime", **changes):
    runtime = {"model_dir": str(folder), "threads": 1, "backend": backend}
    return update(preset("paper-tiny"), {"runtime": runtime, **changes})


def test_manifest_vouches_for_every_network(models):
    manifest = Manifest.load(models)
    assert set(manifest.models) == set(NAMES)
    for name in NAMES:
        manifest.verify(name)
        assert manifest.entry(name)["opset"] == 18 and manifest.entry(name)["parameters"] > 100_000
    assert manifest.entry("sam_tiny_decoder")["source"] == manifest.entry("sam_tiny_encoder")["source"]
    assert manifest.entry("sam_tiny_encoder")["source"]["file"] == "sam.pth"
    assert manifest.entry("sam_tiny_encoder")["source"]["official"] is False
    assert manifest.entry("dinov2_tiny_hpg")["training"] == {"samples": 5}
    for path in models.glob("*.onnx"):
        assert b".py" not in path.read_bytes(), path.name


def test_file_format(models):
    import onnx

    for path in models.glob("*.onnx"):
        model = onnx.load(path)
        assert model.ir_version <= 10 and {item.version for item in model.opset_import if not item.domain} == {18}


@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_equals_torch(models, name):
    runtime = config(models).runtime
    ours = load_model(name, runtime)
    theirs = load_model(name, replace(runtime, backend="torch"))
    spec = model_spec(name)
    for prompts in (1, 5, 30) if any("M" in tensor.dims for tensor in spec.inputs) else (1,):
        random = np.random.default_rng(prompts)
        inputs = {tensor.name: random.uniform(0, 90, tuple(example.shape)).astype(np.float32) if tensor.name == "points"
                  else random.standard_normal(tuple(example.shape)).astype(np.float32)
                  for tensor, example in zip(spec.inputs, example_inputs(spec, prompts))}
        got, expected = ours.run(inputs), theirs.run(inputs)
        for tensor in spec.outputs:
            assert got[tensor.name].shape == tuple(prompts if dim == "M" else dim for dim in tensor.dims)
            scale = max(1.0, float(np.abs(expected[tensor.name]).max()))
            np.testing.assert_allclose(got[tensor.name], expected[tensor.name], atol=1e-4 * scale, rtol=0)


def test_exported_weights_are_those_of_the_checkpoints(models, files):
    sam = torch.load(files["sam"], weights_only=True)
    for name, prefix in (("sam_tiny_encoder", "image_encoder."), ("sam_tiny_decoder", "")):
        for key, value in load_reference(name, models).state_dict().items():
            key = {"position.positional_encoding_gaussian_matrix":
                   "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
                   "point.weight": "prompt_encoder.point_embeddings.1.weight",
                   "no_point.weight": "prompt_encoder.not_a_point_embed.weight",
                   "no_mask.weight": "prompt_encoder.no_mask_embed.weight"}.get(key, f"{prefix}{key}")
            assert torch.equal(value, sam[key]), key


@pytest.mark.parametrize("shape", [(480, 640), (640, 360)])
def test_whole_pipeline_on_both_backends(models, shape):
    """Prompts of the HPG, four masks each, refined scores, instances; ONNX Runtime and torch find the same."""
    frame, _ = box_scene(shape[1], shape[0])
    found = {}
    for backend in ("onnxruntime", "torch"):
        stages = Segmenter(config(models, backend, **FORGIVING)).stages(frame)
        found[backend] = stages
        grid = stages.features.grid
        assert max(grid.padded_hw) == 128 and 0 < len(stages.prompts) <= 30
        assert stages.mask_set.low_res_masks.shape == (len(stages.prompts), 4, *grid.padded_hw)
        assert stages.mask_set.mask_tokens.shape == (len(stages.prompts), 4, 256)
        assert stages.instances.label.shape == shape and stages.instances.depth_used
        assert len(stages.instances) > 0
    ours, theirs = found["onnxruntime"], found["torch"]
    np.testing.assert_allclose(ours.prompts.points_px, theirs.prompts.points_px)
    np.testing.assert_allclose(ours.mask_set.scores, theirs.mask_set.scores, atol=1e-3)
    assert (ours.instances.label != theirs.instances.label).mean() < 0.01


def test_colour_alone_will_do(models):
    frame, _ = box_scene()
    result = Segmenter(config(models, **FORGIVING)).segment(frame.without_depth())
    assert not result.depth_used and result.label.shape == (480, 640)


def test_segment_command(models, tmp_path):
    frame, _ = box_scene()
    cv2.imwrite(str(tmp_path / "c.png"), frame.color[..., ::-1])
    assert main(["segment", "--color", str(tmp_path / "c.png"), "--preset", "paper-tiny", "--model-dir", str(models),
                 "--out", str(tmp_path / "out")]) == 0
    (label,) = (tmp_path / "out").rglob("*_label.png")
    assert cv2.imread(str(label), cv2.IMREAD_UNCHANGED).shape == (480, 640)
    (facts,) = (tmp_path / "out").rglob("*.json")
    assert json.loads(facts.read_text())["preset"] == "paper-tiny"


def test_the_run_time_needs_no_torch(models, tmp_path):
    import subprocess
    import sys

    code = ("import sys\nfor name in ('torch', 'onnx', 'segment_anything', 'PIL', 'torchvision'):\n"
            "    sys.modules[name] = None\n"
            "from uois_sam_ros import Segmenter\nfrom uois_sam_ros.example import box_scene\n"
            f"s = Segmenter.from_preset('paper-tiny', runtime={{'model_dir': {str(models)!r}, 'threads': 1}})\n"
            "assert s.segment(box_scene()[0]).label.shape == (480, 640)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_what_is_there_may_be_left_out(models, tmp_path, files):
    """A second preset needs one more network; a newer head replaces the old one."""
    hpg = tmp_path / "shared.pth"
    save_head(hpg, "sam_tiny_hpg", build_head("sam_tiny_hpg", width=16, widths=[8]))
    before = dict(Manifest.load(models).models)
    (path,) = export_preset("shared-tiny", {"hpg": hpg}, models)
    assert path.name == "sam_tiny_hpg.onnx"
    after = Manifest.load(models).models
    assert set(after) - set(before) == {"sam_tiny_hpg"} and all(after[name] == before[name] for name in before)
    shared = update(preset("shared-tiny"), {"runtime": {"model_dir": str(models), "threads": 1}, **FORGIVING})
    stages = Segmenter(shared).stages(box_scene(640, 360)[0])
    assert stages.features["hpg_heatmap"].shape == (1, 1, 72, 128)  # cut from the 128x128 over SAM's square
    assert load_reference("sam_tiny_hpg", models).settings.width == 16


@pytest.mark.parametrize(("preset_name", "given", "words"), [
    ("compact", (), "expected a preset with SAM, such as paper, got 'compact'; .*uois-sam train export"),
    ("geometry", (), "expected a preset with SAM"),
    ("paper-tiny", ("sam", "dinov2", "hpg"), "--hdnet: expected a checkpoint for sam_tiny_hdnet, got none"),
    ("paper-tiny", (), "--sam: expected a checkpoint for sam_tiny_encoder, got none; 'uois-sam weights list'"),
    ("shared-tiny", ("dinov2",), r"--dinov2: expected a source of preset shared-tiny \(--sam, --hpg, --hdnet\)"),
])
def test_requests_that_cannot_be_met(files, tmp_path, preset_name, given, words):
    with pytest.raises(ConfigError, match=words):
        export_preset(preset_name, {name: files[name] for name in given}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("preset_name", "swap", "words"), [
    ("paper-b", {"sam": "sam"}, "expected SAM ViT-B, got SAM tiny: this is tiny, the preset wants ViT-B"),
    ("paper-tiny", {"sam": "dinov2"}, "expected SAM tiny, got DINOv2 tiny"),
    ("paper-tiny", {"hpg": "hdnet"}, "expected dinov2_tiny_hpg, got sam_tiny_hdnet"),
    ("paper-tiny", {"sam": "missing"}, "expected a file, got none"),
])
def test_wrong_checkpoints(files, tmp_path, preset_name, swap, words):
    given = {name: files.get(swap.get(name, name), tmp_path / "missing.pth") for name in files}
    order = {name: given[name] for name in swap}
    with pytest.raises(ModelError, match=words):
        export_preset(preset_name, order, tmp_path / "out", random=True)
    assert not (tmp_path / "out").exists(), "refused before anything is written"


def test_a_file_that_only_bears_the_official_name(files, tmp_path):
    impostor = tmp_path / "sam_vit_b_01ec64.pth"
    impostor.write_bytes(files["sam"].read_bytes())
    with pytest.raises(ModelError, match="expected 375042383 bytes with sha256 ec2df"):
        export_preset("paper-b", {"sam": impostor}, tmp_path / "out", random=True)


def test_a_missing_network_names_the_export(models):
    with pytest.raises(ModelError, match="make it with 'uois-sam export --preset PRESET"):
        Segmenter(update(preset("paper"), {"runtime": {"model_dir": str(models)}}))


def test_large_weights_lie_in_a_second_file(files, tmp_path):
    """As those of ViT-H must; both backends read them, and damage is noticed."""
    (path,) = export_preset("shared-tiny", {"hdnet": files["hdnet"]}, _seeded(tmp_path), external_bytes=1000)
    data = path.with_name("sam_tiny_hdnet.onnx.data")
    assert path.stat().st_size < 20_000 < data.stat().st_size
    assert path.stat().st_mode == data.stat().st_mode
    assert Manifest.load(tmp_path).entry("sam_tiny_hdnet")["data"]["file"] == data.name
    runtime = config(tmp_path).runtime
    inputs = {tensor.name: example.numpy() + 1 for tensor, example in zip(
        model_spec("sam_tiny_hdnet").inputs, example_inputs(model_spec("sam_tiny_hdnet")))}
    got = load_model("sam_tiny_hdnet", runtime).run(inputs)["scores"]
    expected = load_model("sam_tiny_hdnet", replace(runtime, backend="torch")).run(inputs)["scores"]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ModelError, match="sam_tiny_hdnet.onnx.data: expected .* bytes, got .*truncated"):
        load_model("sam_tiny_hdnet", runtime)


def _seeded(folder):
    """A model folder that claims to have all networks of shared-tiny but HDNet."""
    from uois_sam_ros.runtime.manifest import write_entry

    for name in networks_of(preset("shared-tiny"))[:-1]:
        (folder / f"{name}.onnx").write_bytes(b"-")
        write_entry(folder, name, f"{name}.onnx")
    return folder


def test_random_weights_draw_masks_and_replace_nothing(models, tmp_path):
    out = shutil.copytree(models, tmp_path / "models")
    (out / "manifest.json").write_text(json.dumps({"format": 1, "models": {
        name: entry for name, entry in Manifest.load(models).models.items() if name != "sam_tiny_hpg"}}))
    (path,) = export_preset("shared-tiny", {}, out, random=True, seed=3)
    assert path.name == "sam_tiny_hpg.onnx"
    assert Manifest.load(out).entry("sam_tiny_hpg")["source"] == {"random": True, "seed": 3}
    stages = Segmenter(update(preset("shared-tiny"), {"runtime": {"model_dir": str(out), "threads": 1}})).stages(
        box_scene()[0])
    assert len(stages.prompts) > 0 and stages.mask_set.low_res_masks.shape[1] == 4
