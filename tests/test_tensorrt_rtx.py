"""The real TensorRT for RTX reads every exported graph and builds it ahead of time; needs no GPU.

Not part of the default suite: ``make test-tensorrt-rtx`` installs the package (300 MB) and runs this file. The presets
are those of the environment variable UOIS_RTX_PRESETS, or small ones with the layers of the large ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uois_sam_ros.config import PRESETS, preset
from uois_sam_ros.engines.profiles import networks, profiles
from uois_sam_ros.errors import BackendError
from uois_sam_ros.models.spec import COMPACT, ModelSpec, TensorSpec, model_spec
from uois_sam_ros.runtime.engine_backends import BuildJob, BuildOptions
from uois_sam_ros.runtime.tensorrt_api import TENSORRT_RTX
from uois_sam_ros.runtime.tensorrt_builder import build_plan

pytestmark = pytest.mark.tensorrt_rtx
ENGINES = Path(__file__).parents[1] / "engines"
CAPABILITIES = ("8.6", "8.9", "12.0")
CHOSEN = tuple(filter(None, os.environ.get("UOIS_RTX_PRESETS", "compact,paper-tiny,shared-tiny").split(",")))
#: Network -> the preset that is exported for it.
NETWORKS = {name: chosen for chosen in CHOSEN if chosen in PRESETS for name in networks(preset(chosen))}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Return a function from network and precision to the ONNX file."""
    onnx = pytest.importorskip("onnx", reason="export needs the train extra")
    from uois_sam_ros.models.half import to_half
    from uois_sam_ros.models.precision import load_portable, save, to_int8

    TENSORRT_RTX.load()
    folder = tmp_path_factory.mktemp("onnx")

    def original(name):
        if model_spec(name) in COMPACT:
            return ENGINES / f"{name}.onnx"
        path = folder / f"{name}.onnx"
        if not path.exists():
            from uois_sam_ros.training.export_preset import export_preset

            export_preset(NETWORKS[name], {}, folder, random=True)
        return path

    def file(name, precision):
        if precision == "fp32":
            return original(name)
        target = folder / f"{name}_{precision}.onnx"
        if precision == "fp16":
            save(to_half(load_portable(original(name))), target)
        else:
            from uois_sam_ros.engines.parity import record_inputs
            from uois_sam_ros.example import box_scene

            inputs = record_inputs(preset(NETWORKS[name]), str(original(name).parent), [box_scene(320, 240)[0]])
            to_int8(load_portable(original(name)), target, inputs[name], "tensorrt")
        onnx.checker.check_model(str(target))
        return target

    return file


@pytest.mark.parametrize("name, precision", [
    *((name, precision) for name in NETWORKS for precision in ("fp32", "fp16")),
    *([("compact_encoder", "int8")] if "compact_encoder" in NETWORKS else [])])
def test_reads_and_builds(files, tmp_path, name, precision):
    shares = []
    plan = build_plan(TENSORRT_RTX, BuildJob(
        model_spec(name), files(name, precision), profiles(preset(NETWORKS[name])), BuildOptions(),
        tmp_path / "build.log", tmp_path / "timing", lambda share, phase: shares.append(share), CAPABILITIES))
    assert len(plan) > 10_000
    assert 0 <= min(shares) and max(shares) <= 1 and len(shares) > 10
    assert (tmp_path / "build.log").read_text()


def test_one_capability_at_a_time(files, tmp_path):
    for capability in CAPABILITIES:
        assert build_plan(TENSORRT_RTX, BuildJob(
            model_spec("compact_hdnet"), files("compact_hdnet", "fp32"), profiles(preset("compact")), BuildOptions(),
            tmp_path / "build.log", tmp_path / "timing", lambda share, phase: None, (capability,)))


def build_stage(name, stage, inputs, folder):
    """Export a device stage for inputs of these sizes and return its plan."""
    from uois_sam_ros.device.export import export_stage

    pytest.importorskip(TENSORRT_RTX.module, reason="make test-tensorrt-rtx installs it")
    path = export_stage(name, stage, inputs, stage.output_names, folder)
    tensors = tuple(TensorSpec(key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
                    for key, value in inputs.items())
    spec = ModelSpec(name, "stage", tensors, tuple(TensorSpec(key, ()) for key in stage.output_names))
    return build_plan(TENSORRT_RTX, BuildJob(
        spec, path, {}, BuildOptions(), folder / "build.log", folder / "timing", lambda share, phase: None,
        CAPABILITIES))


@pytest.mark.parametrize(("name", "kinds", "depth"), [
    ("compact", ("rgbd",), True), ("paper-tiny", ("sam", "dinov2"), False)])
def test_reads_and_builds_the_device_stage_before_the_networks(tmp_path, name, kinds, depth):
    torch = pytest.importorskip("torch", reason="the device path needs the train extra")
    from uois_sam_ros.device.encoding import FrameInputs

    stage = FrameInputs(preset(name).encoding, kinds, (120, 160), with_depth=depth)
    color, depth_m = torch.zeros(1, 120, 160, 3, dtype=torch.uint8), torch.ones(1, 120, 160)
    inputs = dict(zip(stage.input_names, (color, depth_m, torch.tensor([[90.0, 90, 80, 60]]))))
    assert len(build_stage("inputs", stage, inputs, tmp_path)) > 10_000


@pytest.mark.parametrize("name", ["prompting", "rescoring", "election", "painting"])
def test_reads_and_builds_the_device_stages_around_the_decoder(tmp_path, name):
    pytest.importorskip("torch", reason="the device path needs the train extra")
    from exportable import STAGES

    assert len(build_stage(name, *STAGES[name](), tmp_path)) > 10_000


def test_what_it_does_not_read_is_told(tmp_path):
    onnx = pytest.importorskip("onnx", reason="export needs the train extra")
    model = onnx.load(ENGINES / "compact_hdnet.onnx")
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type, node.name = "StringNormalizer", "odd"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(BackendError, match="odd.onnx: expected a graph that tensorrt_rtx .* reads, got .*'odd'"):
        build_plan(TENSORRT_RTX, BuildJob(
            model_spec("compact_hdnet"), tmp_path / "odd.onnx", profiles(preset("compact")), BuildOptions(),
            tmp_path / "build.log", tmp_path / "timing", lambda share, phase: None, CAPABILITIES))
